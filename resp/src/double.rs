//! Doubles as Redis prints them: the shortest digits that read back as the same number, in `fpconv_dtoa`'s layout.

use std::fmt::Write;

use itoa::Buffer;

/// Integers up to here are exact in a double with room to spare; Redis prints them without an exponent.
const MAX_PLAIN_INTEGER: f64 = (i64::MAX / 2) as f64;

/// The shortest digits of a double as `fpconv_dtoa` writes them, integers too: what Redis hashes of a score.
pub fn shortest(value: f64) -> String {
    let is_plain = !value.is_finite() || value == 0.0;
    let mut text =
        if is_plain { DoubleText::new(value) } else { DoubleText { bytes: [0; DoubleText::CAPACITY], len: 0 } };
    if !is_plain {
        text.push_shortest(value);
    }
    String::from_utf8_lossy(text.as_bytes()).into_owned()
}

/// The text of a double on the stack.
pub(crate) struct DoubleText {
    bytes: [u8; Self::CAPACITY],
    len: usize,
}

impl DoubleText {
    /// A sign, 17 digits and seven zeros, or as much with an exponent, are at most 25 bytes.
    const CAPACITY: usize = 40;

    /// `inf`, `-inf`, `nan`, an integer, or digits with a point or an exponent.
    pub(crate) fn new(value: f64) -> Self {
        let mut text = DoubleText { bytes: [0; Self::CAPACITY], len: 0 };
        if value.is_nan() {
            text.push(b"nan");
        } else if value.is_infinite() {
            text.push(if value > 0.0 { b"inf" } else { b"-inf" });
        } else if value == 0.0 {
            text.push(if value.is_sign_negative() { b"-0" } else { b"0" });
        } else if value.abs() <= MAX_PLAIN_INTEGER && value.fract() == 0.0 {
            text.push(Buffer::new().format(value as i64).as_bytes());
        } else {
            text.push_shortest(value);
        }
        text
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// Takes Rust's shortest digits apart and sets point and exponent where `emit_digits` of fpconv does.
    fn push_shortest(&mut self, value: f64) {
        let mut scientific = DoubleText { bytes: [0; Self::CAPACITY], len: 0 };
        write!(scientific, "{:e}", value.abs()).expect("17 digits, a point and an exponent fit");
        let text = scientific.as_bytes();
        let mark = memchr::memchr(b'e', text).expect("this format always has an exponent");
        let exponent: i32 = std::str::from_utf8(&text[mark + 1..])
            .ok()
            .and_then(|digits| digits.parse().ok())
            .expect("this format's exponent is a small integer");
        let mut digits = [0; 17];
        let mut count = 0;
        for digit in text[..mark].iter().filter(|byte| byte.is_ascii_digit()) {
            digits[count] = *digit;
            count += 1;
        }
        if value < 0.0 {
            self.push(b"-");
        }
        self.push_layout(&digits[..count], exponent);
    }

    /// `digits` as d.ddd × 10^`exponent`.
    fn push_layout(&mut self, digits: &[u8], exponent: i32) {
        let count = digits.len() as i32;
        let zeros = exponent - count + 1;
        if zeros >= 0 && exponent.abs() < count + 7 {
            self.push(digits);
            self.push_zeros(zeros);
        } else if zeros < 0 && (zeros > -7 || exponent.abs() < 4) {
            if exponent < 0 {
                self.push(b"0.");
                self.push_zeros(-exponent - 1);
                self.push(digits);
            } else {
                let (whole, fraction) = digits.split_at(exponent as usize + 1);
                self.push(whole);
                self.push(b".");
                self.push(fraction);
            }
        } else {
            self.push(&digits[..1]);
            if count > 1 {
                self.push(b".");
                self.push(&digits[1..]);
            }
            self.push(if exponent < 0 { b"e-" } else { b"e+" });
            self.push(Buffer::new().format(exponent.unsigned_abs()).as_bytes());
        }
    }

    fn push(&mut self, bytes: &[u8]) {
        self.bytes[self.len..self.len + bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
    }

    fn push_zeros(&mut self, count: i32) {
        for _ in 0..count {
            self.push(b"0");
        }
    }
}

impl Write for DoubleText {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.push(text.as_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::shortest;

    #[test]
    fn long_integers_have_an_exponent() {
        for (value, text) in
            [(0.0, "0"), (-0.0, "-0"), (10.0, "10"), (1e9, "1e+9"), (0.1, "0.1"), (1e300, "1e+300"), (-2.5, "-2.5")]
        {
            assert_eq!(shortest(value), text);
        }
        assert_eq!(shortest(f64::NEG_INFINITY), "-inf");
    }
}
