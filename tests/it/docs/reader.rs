//! A reader of the pages: does what they say, in a folder of their own, and puts in what a page cannot know: the
//! address, the key, and ids that were shown before.

use super::{
    page::{Block, Page, Section, Step, root},
    shape::{differences, last_json},
    shell::Shell,
};
use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};
use tempfile::TempDir;

#[derive(Debug)]
pub(super) struct Reader<'a> {
    pages: &'a [Page],
    folder: PathBuf,
    shell: Shell,
    /// What the commands have said, the latest last.
    said: Vec<String>,
    servers: Vec<Server>,
    _folder: TempDir,
}

/// What keeps running while the reader goes on in a second terminal.
#[derive(Debug)]
struct Server {
    kind: &'static str,
    output: PathBuf,
}

/// How long a server may take to say where it listens.
const SOON: Duration = Duration::from_secs(30);

impl<'a> Reader<'a> {
    /// Sits down before a clone of the repository, with `dunlin` built.
    pub(super) fn new(pages: &'a [Page]) -> Self {
        let home = tempfile::tempdir().unwrap();
        let (folder, programs) = (home.path().join("clone"), home.path().join("bin"));
        fs::create_dir(&folder).unwrap();
        fs::create_dir(&programs).unwrap();
        for name in ["config", "examples", "sandbox"] {
            std::os::unix::fs::symlink(root().join(name), folder.join(name)).unwrap();
        }
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_dunlin"), programs.join("dunlin")).unwrap();
        #[expect(clippy::disallowed_methods, reason = "where the shell finds curl")]
        let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
        let shell = Shell::open(&folder, home.path().join("block"), &[("PATH", &path)]);
        Self { pages, folder, shell, said: Vec::new(), servers: Vec::new(), _folder: home }
    }

    /// Goes through a page from its beginning to its end, and stops what it has started.
    pub(super) fn read(mut self, page: &'a Page) -> Result<(), String> {
        self.go_through(&page.path, &page.steps)?;
        while let Some(server) = self.servers.pop() {
            self.stop(&server)?;
        }
        Ok(())
    }

    fn go_through(&mut self, path: &str, steps: &'a [Step]) -> Result<(), String> {
        for (at, step) in steps.iter().enumerate() {
            match step {
                Step::Heading { .. } => {}
                Step::Before(sections) => {
                    for Section { page, anchor } in sections {
                        let found = self.pages.iter().find(|other| other.path == *page);
                        let steps = found.and_then(|page| page.section(anchor));
                        let steps =
                            steps.ok_or_else(|| format!("{path}: there is no section {page}#{anchor}"))?;
                        self.go_through(page, steps)?;
                    }
                }
                Step::Block(block) => {
                    let shown =
                        matches!(steps.get(at + 1), Some(Step::Block(next)) if next.language == "json");
                    self.follow(block, shown)
                        .map_err(|problem| format!("{path}:{}:\n{}{problem}", block.line, block.text))?;
                }
            }
        }
        Ok(())
    }

    /// `shown` says that the page shows the answer next; a refusal is right only there.
    fn follow(&mut self, block: &Block, shown: bool) -> Result<(), String> {
        match (block.language.as_str(), &block.file) {
            ("sh", _) if block.unrun.is_none() => {
                self.run(&block.text)?;
                let said = self.said.last().filter(|said| !shown && said.lines().any(is_refusal));
                said.map_or(Ok(()), |said| Err(format!("it was refused:\n{said}")))
            }
            ("toml", Some(name)) => fs::write(self.folder.join(name), &block.text).map_err(|e| e.to_string()),
            ("json", _) => self.compare(&block.text),
            _ => Ok(()),
        }
    }

    /// Runs the lines of a block; one that starts a server does not end.
    fn run(&mut self, text: &str) -> Result<(), String> {
        let mut lines = String::new();
        let mut said = String::new();
        for line in text.lines() {
            if let Some(kind) = server(line) {
                said += &self.shell_run(&std::mem::take(&mut lines))?;
                self.start(kind, line)?;
            } else {
                lines += &expecting(line);
            }
        }
        said += &self.shell_run(&lines)?;
        self.said.push(said);
        Ok(())
    }

    fn shell_run(&mut self, lines: &str) -> Result<String, String> {
        let told = self.put_in(lines)?;
        self.shell.run(&told).map_err(|said| format!("a command failed. It said:\n{said}"))
    }

    /// Compares the last answer with how the page shows it.
    fn compare(&self, shown: &str) -> Result<(), String> {
        let shown = serde_json::from_str(shown).map_err(|error| format!("this is no JSON: {error}"))?;
        let said = self.said.last().ok_or("there is no answer before this")?;
        let answer = last_json(said).ok_or_else(|| format!("the answer before this is no JSON:\n{said}"))?;
        let found = differences(&shown, &answer);
        if found.is_empty() { Ok(()) } else { Err(format!("{}\n{answer:#}", found.join("\n"))) }
    }

    fn start(&mut self, kind: &'static str, line: &str) -> Result<(), String> {
        if let Some(at) = self.servers.iter().position(|server| server.kind == kind) {
            let server = self.servers.remove(at);
            self.stop(&server)?;
        }
        // Any free port in place of the one that the page has.
        let line = line.split(" #").next().unwrap_or_default().replace("127.0.0.1:12111", "127.0.0.1:0");
        let line = self.put_in(&line)?;
        let output = self.folder.with_file_name(format!("{kind}-{}.out", self.said.len()));
        let (out, name) = (output.display(), "DUNLIN_HTTP__LISTEN");
        self.shell.run(&format!("{name}=127.0.0.1:0 {line} >{out} 2>&1 </dev/null &\n{kind}=$!"))?;
        self.servers.push(Server { kind, output });
        if kind == "serve" {
            let address = self.address(kind, "dunlin listening on http://")?;
            self.shell.run(&format!("export {name}={address}"))?;
        }
        Ok(())
    }

    fn stop(&mut self, server: &Server) -> Result<(), String> {
        let Server { kind, output } = server;
        let stopped = self.shell.run(&format!("kill ${kind}\nwait ${kind}"));
        let said = || fs::read_to_string(output).unwrap_or_default();
        stopped.map(drop).map_err(|_| format!("`dunlin {kind}` did not stop well:\n{}", said()))
    }

    /// The address that a running server has printed.
    fn address(&self, kind: &str, words: &str) -> Result<String, String> {
        let server = self.servers.iter().find(|server| server.kind == kind);
        let server =
            server.ok_or_else(|| format!("no `dunlin {kind}` runs: say **Before:** where one is"))?;
        let deadline = Instant::now() + SOON;
        loop {
            let said = fs::read_to_string(&server.output).unwrap_or_default();
            let found = said.split_once(words).and_then(|(_, rest)| rest.split_once('\n'));
            if let Some((address, _)) = found {
                return Ok(address.trim().to_owned());
            }
            if Instant::now() > deadline {
                return Err(format!("`dunlin {kind}` did not say {words:?}:\n{said}"));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// What a reader puts in the place of what a page cannot know.
    fn put_in(&self, text: &str) -> Result<String, String> {
        let mut text = text.replace("cargo run --release -- ", "dunlin ");
        let serves = |words| self.address("serve", words);
        let host = |place| Ok(format!("{place}{}", serves("dunlin listening on http://")?));
        put(&mut text, "https://pay.example.com", || host("http://"))?;
        put(&mut text, "127.0.0.1:7070", || host(""))?;
        put(&mut text, "http://127.0.0.1:PORT", || serves("sandbox gateway on "))?;
        put(&mut text, "127.0.0.1:12111", || self.address("sandbox", "sandbox listening on http://"))?;
        for placeholder in ["dk_test_...", "dk_live_..."] {
            put(&mut text, placeholder, || key(&self.folder))?;
        }
        while let Some((before, after)) = text.split_once("_0199...") {
            let kind = before.rsplit(|letter: char| !letter.is_ascii_alphabetic()).next().unwrap_or_default();
            let id = self.seen(kind).ok_or_else(|| format!("no {kind}_ was shown before"))?;
            text = format!("{}{id}{after}", before.strip_suffix(kind).unwrap_or_default());
        }
        Ok(text)
    }

    /// The first id of a kind in the latest output that has one.
    fn seen(&self, kind: &str) -> Option<String> {
        let first = |said: &String| {
            let mark = format!("{kind}_");
            let mut found = said.match_indices(&mark).map(|(at, mark)| (at, at + mark.len()));
            found.find_map(|(at, digits)| {
                let end = digits + 32;
                let is_id = said.get(digits..end)?.chars().all(|digit| digit.is_ascii_hexdigit());
                is_id.then(|| said[at..end].to_owned())
            })
        };
        self.said.iter().rev().find_map(first)
    }
}

fn key(folder: &Path) -> Result<String, String> {
    let key = fs::read_to_string(folder.join("dunlin-data/development-key"));
    key.map(|key| key.trim().to_owned()).map_err(|_| "there is no key yet".to_owned())
}

fn put(
    text: &mut String,
    placeholder: &str,
    what: impl FnOnce() -> Result<String, String>,
) -> Result<(), String> {
    if text.contains(placeholder) {
        *text = text.replace(placeholder, &what()?);
    }
    Ok(())
}

/// Whether the API or the sandbox says no.
fn is_refusal(line: &str) -> bool {
    line.contains("{\"type\":\"urn:dunlin:problem:") || line.starts_with("{\"error\":")
}

/// What a line starts that does not end by itself.
fn server(line: &str) -> Option<&'static str> {
    let line = line.replace("cargo run --release -- ", "dunlin ");
    let mut words = line.split_whitespace().skip_while(|word| word.contains('='));
    words.next().filter(|program| *program == "dunlin")?;
    let mut words = words.peekable();
    words.next_if_eq(&"--config").and_then(|_| words.next());
    match words.next()? {
        "serve" => Some("serve"),
        "sandbox" => Some("sandbox"),
        _ => None,
    }
}

/// A line as the shell is to run it: one that says `# ends with N` has to end with that code.
fn expecting(line: &str) -> String {
    let Some((command, code)) = line.split_once("# ends with ") else { return format!("{line}\n") };
    let code: String = code.chars().take_while(char::is_ascii_digit).collect();
    format!("ended=0\n{command}|| ended=$?\n[ \"$ended\" = {code} ]\n")
}
