//! A page of the documentation, as a reader goes through it: its headings, what it wants done before, its blocks.

use std::{
    fs,
    path::{Path, PathBuf},
};

#[derive(Debug)]
pub(super) struct Page {
    /// From the root: `docs/refunds.md`.
    pub(super) path: String,
    pub(super) text: String,
    pub(super) steps: Vec<Step>,
}

#[derive(Debug)]
pub(super) enum Step {
    Heading {
        level: usize,
        anchor: String,
    },
    /// A paragraph that begins with `**Before:**`: the sections that it links are gone through first.
    Before(Vec<Section>),
    Block(Block),
}

/// A section of a page, as a link names it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Section {
    pub(super) page: String,
    pub(super) anchor: String,
}

#[derive(Debug, Default)]
pub(super) struct Block {
    pub(super) line: usize,
    pub(super) language: String,
    pub(super) text: String,
    /// Why it is not run, by the comment above it: `<!-- not run: .. -->`.
    pub(super) unrun: Option<String>,
    /// The file that the paragraph above it names last.
    pub(super) file: Option<String>,
}

pub(super) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every page that a reader may be led to, whoever wrote it.
pub(super) fn all() -> Vec<Page> {
    let mut paths = vec!["README.md".to_owned()];
    let docs = fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().file_name());
    let mut docs: Vec<_> = docs.map(|name| format!("docs/{}", name.to_str().unwrap())).collect();
    docs.retain(|path| is_a("md", path));
    docs.sort();
    paths.extend(docs);
    paths.extend(["examples/README.md", "sandbox/README.md"].map(str::to_owned));
    paths.into_iter().map(Page::open).collect()
}

impl Page {
    pub(super) fn open(path: String) -> Self {
        let text = fs::read_to_string(root().join(&path)).unwrap();
        Self::parse(path, &text)
    }

    pub(super) fn parse(path: String, text: &str) -> Self {
        let mut steps = Vec::new();
        let mut paragraph = String::new();
        let mut lines = text.lines().enumerate();
        while let Some((at, line)) = lines.next() {
            if let Some(language) = line.strip_prefix("```") {
                let body = lines.by_ref().map(|(_, line)| line).take_while(|line| *line != "```");
                let text = body.fold(String::new(), |text, line| text + line + "\n");
                steps.push(Step::Block(Block {
                    line: at + 1,
                    language: language.to_owned(),
                    text,
                    unrun: unrun(&paragraph),
                    file: paragraph.split('`').rfind(|word| is_a("toml", word)).map(str::to_owned),
                }));
                paragraph.clear();
            } else if let Some((marks, title)) =
                line.split_once(' ').filter(|(marks, _)| marks.starts_with('#'))
            {
                steps.push(Step::Heading { level: marks.len(), anchor: anchor(title) });
                paragraph.clear();
            } else if line.is_empty() {
                steps.extend(before(&path, &paragraph));
                // The words above a block are followed by an empty line.
                if lines.clone().next().is_some_and(|(_, next)| !is_block(next)) {
                    paragraph.clear();
                }
            } else {
                paragraph.push_str(line);
                paragraph.push(' ');
            }
        }
        Self { path, text: text.to_owned(), steps }
    }

    /// The files, and their sections, that its links lead to; those of the outside are not followed.
    pub(super) fn links(&self) -> impl Iterator<Item = Section> {
        let links = self.text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        let inside = links.filter(|link| !link.contains("://"));
        inside.map(|link| {
            let section = section(&self.path, link);
            let whole = || Section { page: target(&self.path, link).unwrap(), anchor: String::new() };
            section.unwrap_or_else(whole)
        })
    }

    /// Paths that it names in backticks, but for what its reader is to add.
    pub(super) fn paths(&self) -> impl Iterator<Item = &str> {
        let places = ["config/", "docs/", "examples/", "jobs/", "scripts/", "src/", "tests/"];
        let is_path = move |word: &&str| {
            places.iter().any(|place| word.starts_with(place))
                && !word.contains(['*', ' ', '\n'])
                && !["acme", "NAME"].iter().any(|new| word.contains(new))
        };
        self.text.split('`').skip(1).step_by(2).filter(is_path)
    }

    pub(super) fn blocks(&self) -> impl Iterator<Item = &Block> {
        self.steps.iter().filter_map(|step| if let Step::Block(block) = step { Some(block) } else { None })
    }

    /// The steps below a heading, those of the headings below it among them.
    pub(super) fn section(&self, anchor: &str) -> Option<&[Step]> {
        let heading = |step: &Step| match step {
            Step::Heading { level, anchor } => Some((*level, anchor.clone())),
            Step::Before(_) | Step::Block(_) => None,
        };
        let (at, level) = self.steps.iter().enumerate().find_map(|(at, step)| {
            heading(step).filter(|(_, found)| found == anchor).map(|(level, _)| (at + 1, level))
        })?;
        let rest = &self.steps[at..];
        let end = rest.iter().position(|step| heading(step).is_some_and(|(other, _)| other <= level));
        Some(&rest[..end.unwrap_or(rest.len())])
    }
}

/// Whether a file's name has that ending.
fn is_a(ending: &str, name: &str) -> bool {
    Path::new(name).extension().is_some_and(|extension| extension == ending)
}

/// Whether a block comes, or the comment above one.
fn is_block(line: &str) -> bool {
    line.starts_with("```") || line.starts_with("<!-- not run:")
}

fn unrun(paragraph: &str) -> Option<String> {
    let (_, reason) = paragraph.split_once("<!-- not run: ")?;
    Some(reason.split_once(" -->")?.0.to_owned())
}

/// A heading's anchor, as the hosts of repositories make it.
fn anchor(title: &str) -> String {
    let letters = title.to_lowercase();
    let kept = letters.chars().filter(|letter| letter.is_alphanumeric() || matches!(letter, ' ' | '-' | '_'));
    kept.map(|letter| if letter == ' ' { '-' } else { letter }).collect()
}

fn before(path: &str, paragraph: &str) -> Option<Step> {
    let links = paragraph.strip_prefix("**Before:**")?.split("](").skip(1);
    let links = links.map(|rest| rest.split(')').next().unwrap_or_default());
    Some(Step::Before(links.filter_map(|link| section(path, link)).collect()))
}

/// The section that a page's link leads to.
fn section(path: &str, link: &str) -> Option<Section> {
    let (page, anchor) = link.split_once('#')?;
    Some(Section { page: target(path, page)?, anchor: anchor.to_owned() })
}

/// The file that a page's link leads to, from the root.
fn target(path: &str, page: &str) -> Option<String> {
    if page.is_empty() {
        return Some(path.to_owned());
    }
    let mut target: PathBuf = Path::new(path).parent()?.to_owned();
    for part in page.split('/') {
        match part {
            ".." => drop(target.pop()),
            name => target.push(name),
        }
    }
    target.to_str().map(str::to_owned)
}

#[test]
fn a_page_is_read_as_a_reader_reads_it() {
    let text = "# Title\n\n**Before:** [start](first.md#the-start), and\n[a file](../README.md#try-it).\n\n\
                ## A part, or two\n\nPut this into `mine.toml`:\n\n```toml\na = 1\n```\n\n\
                <!-- not run: it is far\naway -->\n\n```sh\none\n\ntwo\n```\n\n### Below\n\n```sh\nthree\n```\n\n## Other\n";

    let page = Page::parse("docs/page.md".to_owned(), text);

    let Step::Before(before) = &page.steps[1] else { panic!("{page:?}") };
    let section = |page: &str, anchor: &str| Section { page: page.to_owned(), anchor: anchor.to_owned() };
    assert_eq!(before, &[section("docs/first.md", "the-start"), section("README.md", "try-it")]);
    let [file, away, below] = &page.blocks().collect::<Vec<_>>()[..] else { panic!("{page:?}") };
    assert_eq!((file.language.as_str(), file.file.as_deref()), ("toml", Some("mine.toml")));
    assert_eq!((away.text.as_str(), away.unrun.as_deref()), ("one\n\ntwo\n", Some("it is far away")));
    assert_eq!((below.line, below.unrun.as_deref()), (25, None));
    assert_eq!(page.section("a-part-or-two").unwrap().len(), 4);
    assert!(page.section("nowhere").is_none());
}
