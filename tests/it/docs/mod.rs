//! The documentation: each command of its pages works as it is printed.

mod page;
mod reader;
mod settings;
mod shape;
mod shell;

use page::{Page, Section};
use reader::Reader;
use std::{fmt::Write, sync::Mutex, thread};

/// How many pages are gone through at a time.
const READERS: usize = 3;

#[test]
fn every_command_of_the_pages_works_as_it_is_printed() {
    let pages = page::all();
    let todo = Mutex::new(pages.iter().filter(|page| page.blocks().any(|block| block.language == "sh")));
    let wrong = Mutex::new(Vec::new());

    thread::scope(|scope| {
        for _ in 0..READERS {
            scope.spawn(|| {
                loop {
                    let next = todo.lock().unwrap().next();
                    let Some(page) = next else { break };
                    let read = Reader::new(&pages).read(page);
                    wrong.lock().unwrap().extend(read.err());
                }
            });
        }
    });

    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What becomes of a page with these steps.
fn read(text: &str) -> Result<(), String> {
    let pages = [Page::parse("docs/page.md".to_owned(), text)];
    Reader::new(&pages).read(&pages[0])
}

#[test]
fn a_page_that_does_not_hold_is_told_with_its_line() {
    let shell = |text: &str| read(&format!("# Page\n\n```sh\n{text}\n```\n"));
    let shown = |json: &str| {
        let answer = "id=7\n```\n\n```sh\nprintf '{\"status\":\"paid\",\"id\":%s}' $id";
        read(&format!("```sh\n{answer}\n```\n\n```json\n{json}\n```\n"))
    };

    assert_eq!(shell("true\necho fine # ends with 0"), Ok(()));
    for (wrong, because) in [
        ("false\ntrue", "docs/page.md:3:"),
        ("echo $nothing", "unbound variable"),
        ("true # ends with 3", "a command failed"),
        ("false # ends with 3", "a command failed"),
        ("echo '{\"type\":\"urn:dunlin:problem:not_found\"}'", "it was refused"),
        ("curl http://127.0.0.1:7070/livez", "no `dunlin serve` runs"),
        ("dunlin payments show pay_0199...", "no pay_ was shown"),
    ] {
        let problem = shell(wrong).expect_err(wrong);
        assert!(problem.contains(because), "{wrong}: {problem}");
    }
    assert_eq!(shown("{\"status\":\"paid\",\"id\":1}"), Ok(()));
    assert!(shown("{\"status\":\"failed\"}").unwrap_err().contains(".status is \"paid\""));
    assert!(shown("{\"more\":1}").unwrap_err().contains(".more is not there"));
    assert!(
        read("**Before:** [start](other.md#start).\n\n")
            .unwrap_err()
            .contains("no section docs/other.md#start")
    );
}

// Each needs what no test has; whoever adds one looks at this list.
#[test]
fn what_is_not_run_is_known() {
    let mut told = String::new();
    for page in page::all() {
        for block in page.blocks().filter(|block| block.language == "sh") {
            let Some(reason) = &block.unrun else { continue };
            writeln!(told, "{}: {reason}\n{}", page.path, block.text).unwrap();
        }
    }

    insta::assert_snapshot!(told);
}

#[test]
fn no_command_hides_in_a_block_of_another_kind() {
    let programs = ["cargo ", "curl ", "docker ", "dunlin ", "examples/", "export ", "scripts/", "$ "];
    let mut wrong = Vec::new();
    for page in page::all() {
        let is_wrong = |block: &&page::Block| match block.language.as_str() {
            "sh" => false,
            "" | "diff" | "json" | "rust" | "sql" | "toml" => {
                block.text.lines().any(|line| programs.iter().any(|program| line.starts_with(program)))
            }
            _ => true,
        };
        wrong.extend(page.blocks().filter(is_wrong).map(|block| told(&page, block)));
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn every_link_and_path_of_the_pages_leads_somewhere() {
    let mut pages = page::all();
    let others = ["ARCHITECTURE.md", "CHANGELOG.md", "SECURITY.md", "STYLE.md"];
    pages.extend(others.map(|path| Page::open(path.to_owned())));
    let mut wrong = Vec::new();
    for page in &pages {
        let leads = |section: &Section| {
            let known = pages.iter().find(|other| other.path == section.page);
            let is_section = |other: &Page| other.section(&section.anchor).is_some();
            let whole = section.anchor.is_empty() && page::root().join(&section.page).exists();
            whole || known.is_some_and(is_section)
        };
        let links = page.links().filter(|section| !leads(section));
        wrong.extend(links.map(|Section { page: to, anchor }| format!("{}: {to}#{anchor}", page.path)));
        let own = page::root().join(&page.path).parent().unwrap().to_owned();
        let paths = page.paths().filter(|path| !page::root().join(path).exists() && !own.join(path).exists());
        wrong.extend(paths.map(|path| format!("{}: {path}", page.path)));
    }
    assert_eq!(wrong, Vec::<String>::new());
}

fn told(page: &Page, block: &page::Block) -> String {
    format!("{}:{}", page.path, block.line)
}
