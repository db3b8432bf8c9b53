//! What was promised, and what an attack has shown: the rules that a row breaks.

use super::row::{Life, Row};

/// How much later than the null server's a PING may be answered, in milliseconds.
pub const LATER_MS: f64 = 10.0;

/// A promise that was not kept.
#[derive(Clone, Debug, PartialEq)]
pub enum Broken {
    /// The server is dead, silent, or not as it was.
    Gone(Life),
    /// It grew by so many bytes, of so many.
    Grew(u64, u64),
    /// Others were answered after so many milliseconds, of so many.
    Late(f64, f64),
    /// Others were not answered.
    Unanswered(String),
    /// A figure is not what it has to be.
    Figure(String, f64),
}

/// The rules that a row breaks, beside the null server's row of the same attack.
pub fn judge(row: &Row, null: Option<&Row>) -> Vec<Broken> {
    let mut broken = Vec::new();
    if row.life != Life::Alive {
        broken.push(Broken::Gone(row.life.clone()));
    }
    if row.growth > row.growth_limit {
        broken.push(Broken::Grew(row.growth, row.growth_limit));
    }
    if let Some(why) = &row.ping_broken {
        broken.push(Broken::Unanswered(why.clone()));
    }
    if let Some(null) = null {
        let most = null.ping_p99_ms + LATER_MS;
        if row.ping_p99_ms > most {
            broken.push(Broken::Late(row.ping_p99_ms, most));
        }
    }
    let is_out = |(least, most): (f64, f64), value: f64| !(least..=most).contains(&value);
    let figures = row.figures.iter().filter(|figure| is_out(figure.range, figure.value));
    broken.extend(figures.map(|figure| Broken::Figure(figure.name.clone(), figure.value)));
    broken
}

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Gone(life) => write!(f, "{life:?}"),
            Self::Grew(by, most) => write!(f, "grew by {:.1} MiB, {:.1} at most", mib(*by), mib(*most)),
            Self::Late(ms, most) => write!(f, "p99 of PING {ms:.1} ms, {most:.1} at most"),
            Self::Unanswered(why) => write!(f, "a PING was not answered: {why}"),
            Self::Figure(name, value) => write!(f, "{name}: {value}"),
        }
    }
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attack::row::Figure;

    fn row() -> Row {
        Row {
            attack: "test",
            server: "test".to_owned(),
            life: Life::Alive,
            growth: 100,
            growth_limit: 100,
            ping_p99_ms: 11.0,
            ping_max_ms: 11.0,
            pings: 1,
            ping_broken: None,
            ends: Default::default(),
            figures: vec![Figure { name: "rate".to_owned(), value: 5.0, range: (5.0, f64::INFINITY) }],
            halted: None,
            seconds: 1.0,
        }
    }

    #[test]
    fn each_rule_is_broken_by_what_breaks_it() {
        let null = Row { ping_p99_ms: 1.0, ..row() };
        assert_eq!(judge(&row(), Some(&null)), []);
        let dead = Life::Dead("signal: 6".to_owned());
        let cases = [
            (Row { life: dead.clone(), ..row() }, Broken::Gone(dead)),
            (Row { growth: 101, ..row() }, Broken::Grew(101, 100)),
            (Row { ping_p99_ms: 11.5, ..row() }, Broken::Late(11.5, 11.0)),
            (
                Row { ping_broken: Some("end of file".to_owned()), ..row() },
                Broken::Unanswered("end of file".to_owned()),
            ),
        ];
        for (row, broken) in cases {
            assert_eq!(judge(&row, Some(&null)), [broken]);
        }
        let mut slow = row();
        slow.figures[0].value = 4.0;
        assert_eq!(judge(&slow, Some(&null)), [Broken::Figure("rate".to_owned(), 4.0)]);
        assert_eq!(judge(&Row { ping_p99_ms: 500.0, ..row() }, None), []);
    }
}
