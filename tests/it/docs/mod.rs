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
