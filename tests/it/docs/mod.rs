//! The documentation: each command of its pages works as it is printed.

mod page;
mod reader;
mod settings;
mod shape;
mod shell;

use page::Page;
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

fn told(page: &Page, block: &page::Block) -> String {
    format!("{}:{}", page.path, block.line)
}
