//! A script as it stands in its file.

use std::path::PathBuf;

use bytes::BytesMut;
use resp::{Limits, RequestCodec};
use tokio_util::codec::Decoder;

/// One file of `tests/golden`.
pub struct Script {
    /// The file's name without its ending.
    pub name: String,
    path: PathBuf,
    lines: Vec<String>,
    /// What it shows.
    pub sentence: String,
    /// Why another server may answer otherwise.
    pub differs: Option<String>,
    /// What happens.
    pub steps: Vec<Step>,
}

/// One thing that a script does.
pub enum Step {
    /// HELLO with this version.
    Protocol(String),
    /// A request and its reply.
    Ask(Ask),
}

/// A request and its reply.
pub struct Ask {
    /// Line number of the request, from 0.
    pub line: usize,
    /// How the reply is compared.
    pub manner: Manner,
    /// The request as written.
    pub request: String,
    /// The lines of the reply.
    pub expected: Vec<String>,
}

/// How a reply is compared.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// As it comes.
    Plain,
    /// Lists of scalars sorted.
    Sorted,
    /// Again and again until it is right.
    Until,
}

const PROMPTS: [(&str, Manner); 3] = [("> ", Manner::Plain), ("sorted> ", Manner::Sorted), ("until> ", Manner::Until)];

impl Script {
    /// All scripts, by name.
    pub fn all() -> Vec<Script> {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
        let entries = std::fs::read_dir(folder).expect("the folder of scripts is there");
        let paths = entries.map(|entry| entry.expect("the folder can be read").path());
        let mut paths: Vec<PathBuf> = paths.filter(|path| path.extension().is_some_and(|end| end == "txt")).collect();
        paths.sort();
        paths.into_iter().map(Script::read).collect()
    }

    fn read(path: PathBuf) -> Script {
        let text = std::fs::read_to_string(&path).expect("a script is text");
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let sentence = lines.first().cloned().unwrap_or_default();
        let mut script = Script { name, path, lines, sentence, differs: None, steps: Vec::new() };
        script.parse();
        script
    }

    fn parse(&mut self) {
        let mut in_reply = false;
        for (line, text) in self.lines.iter().enumerate().skip(1) {
            if let Some((manner, request)) = prompt(text) {
                let request = request.to_owned();
                self.steps.push(Step::Ask(Ask { line, manner, request, expected: Vec::new() }));
                in_reply = true;
            } else if text.is_empty() {
                in_reply = false;
            } else if let (true, Some(Step::Ask(ask))) = (in_reply, self.steps.last_mut()) {
                ask.expected.push(text.clone());
            } else if let Some(version) = text.strip_prefix("proto ") {
                self.steps.push(Step::Protocol(version.to_owned()));
            } else if let Some(reason) = text.strip_prefix("differs ") {
                self.differs = Some(reason.to_owned());
            } else {
                panic!("{}:{}: not understood: {text}", self.name, line + 1);
            }
        }
    }

    /// Full names of the commands it uses.
    pub fn commands(&self) -> Vec<String> {
        let asks = self.steps.iter().filter_map(|step| match step {
            Step::Ask(ask) => Some(ask.arguments()),
            Step::Protocol(_) => None,
        });
        asks.flat_map(|arguments| {
            let word = |index: usize| arguments.get(index).map(|word| String::from_utf8_lossy(word).to_lowercase());
            let command = word(0).unwrap_or_default();
            let subcommand = word(1).map(|second| format!("{command}|{second}"));
            [command].into_iter().chain(subcommand)
        })
        .collect()
    }

    /// Puts the replies that the steps now hold into the file.
    pub fn write(&self) {
        let mut text = String::new();
        let mut in_reply = false;
        for (number, line) in self.lines.iter().enumerate() {
            let ask = self.steps.iter().find_map(|step| match step {
                Step::Ask(ask) if ask.line == number => Some(ask),
                _ => None,
            });
            in_reply = (in_reply || ask.is_some()) && !line.is_empty();
            if let Some(ask) = ask {
                for line in [line].into_iter().chain(&ask.expected) {
                    text.push_str(line);
                    text.push('\n');
                }
            } else if !in_reply {
                text.push_str(line);
                text.push('\n');
            }
        }
        #[expect(clippy::disallowed_methods, reason = "a script is no file of the store")]
        std::fs::write(&self.path, text).expect("the script can be written");
    }
}

impl Ask {
    /// The words of the request.
    pub fn arguments(&self) -> Vec<Vec<u8>> {
        let mut line = BytesMut::from(format!("{}\r\n", self.request).as_bytes());
        let decoded = RequestCodec::new(Limits::AUTHENTICATED).decode(&mut line);
        let batch = decoded.expect("the quotes are balanced").expect("the line is a request");
        batch.request(0).iter().map(<[u8]>::to_vec).collect()
    }
}

fn prompt(line: &str) -> Option<(Manner, &str)> {
    PROMPTS.iter().find_map(|(prompt, manner)| Some((*manner, line.strip_prefix(prompt)?)))
}
