//! House checks: arrows between the crates, what the pure ones may not touch, and what no file may hold.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use toml::{Table, Value};
use walkdir::WalkDir;

/// What each crate may use of ours: arrows point down only.
const ARROWS: [(&str, &[&str]); 8] = [
    ("policy", &[]),
    ("reward", &[]),
    ("model", &[]),
    ("experience", &["reward"]),
    ("sim", &["policy", "reward", "model", "experience"]),
    ("proxy", &["policy", "reward", "model", "experience", "sim"]),
    (
        "benches",
        &["policy", "reward", "model", "experience", "sim", "proxy"],
    ),
    (
        "tests",
        &["policy", "reward", "model", "experience", "sim", "proxy"],
    ),
];

/// The crates that do no I/O, spawn nothing, and read neither clock nor environment.
const PURE: [&str; 3] = ["policy", "reward", "model"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

fn manifest(folder: &str) -> Table {
    let text = fs::read_to_string(root().join(folder).join("Cargo.toml")).unwrap();
    text.parse().unwrap()
}

/// The dependencies of all kinds, those for one target only among them, that are ours.
fn ours(manifest: &Table) -> Vec<String> {
    let kinds = ["dependencies", "dev-dependencies", "build-dependencies"];
    let direct = kinds
        .iter()
        .filter_map(|kind| manifest.get(*kind)?.as_table());
    let of_targets = manifest
        .get("target")
        .and_then(Value::as_table)
        .into_iter()
        .flatten();
    let of_targets = of_targets.flat_map(|(_, target)| {
        kinds
            .iter()
            .filter_map(|kind| target.get(*kind)?.as_table())
    });
    let names = direct.chain(of_targets).flat_map(|table| table.keys());
    names
        .filter_map(|name| name.strip_prefix("echo-"))
        .map(str::to_owned)
        .collect()
}

#[test]
fn arrows_point_down_only() {
    let listed = manifest("")["workspace"]["members"]
        .as_array()
        .unwrap()
        .clone();
    let listed: Vec<&str> = listed
        .iter()
        .map(|member| member.as_str().unwrap())
        .collect();
    let allowed: BTreeMap<&str, &[&str]> = ARROWS.into_iter().collect();
    assert_eq!(
        listed.len(),
        allowed.len(),
        "every crate has its place: {listed:?}"
    );
    for folder in listed {
        let manifest = manifest(folder);
        assert_eq!(
            manifest["package"]["name"].as_str(),
            Some(format!("echo-{folder}").as_str())
        );
        for used in ours(&manifest) {
            assert!(
                allowed[folder].contains(&used.as_str()),
                "{folder} may not use {used}"
            );
        }
    }
}

/// The readable files below a folder of the repository, with their texts; what git ignores is left out.
fn files(below: &Path) -> Vec<(PathBuf, String)> {
    let is_ours = |entry: &walkdir::DirEntry| {
        ![".git", "target", "shared"].contains(&entry.file_name().to_str().unwrap())
    };
    let walk = WalkDir::new(below)
        .sort_by_file_name()
        .into_iter()
        .filter_entry(is_ours);
    let paths = walk
        .map(Result::unwrap)
        .filter(|entry| entry.file_type().is_file())
        .map(walkdir::DirEntry::into_path);
    paths
        .filter_map(|path| Some((path.clone(), fs::read_to_string(path).ok()?)))
        .collect()
}

/// Asserts that no line of `files` holds any of `needles`.
fn without(files: &[(PathBuf, String)], needles: &[&str]) {
    let mut found = Vec::new();
    for (path, text) in files {
        for (line, number) in text.lines().zip(1..) {
            if let Some(needle) = needles.iter().find(|needle| line.contains(**needle)) {
                found.push(format!(
                    "{}:{number}: {needle}",
                    path.strip_prefix(root()).unwrap_or(path).display()
                ));
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn pure_crates_touch_nothing() {
    let needles = [
        "std::fs",
        "std::net",
        "std::env",
        "std::process",
        "std::thread",
        "SystemTime",
        "Instant",
        "thread::spawn",
        "tokio::",
    ];
    for folder in PURE {
        let sources = files(&root().join(folder).join("src"));
        assert!(sources.len() > 3, "{folder} has its sources in src");
        without(&sources, &needles);
        for (path, text) in &sources {
            for module in grouped_imports(text) {
                let is_impure = ["fs", "net", "env", "process", "thread"].contains(&module);
                assert!(!is_impure, "{} imports std::{module}", path.display());
            }
        }
    }
}

/// The words in all `use std::{...};` of a source.
fn grouped_imports(text: &str) -> impl Iterator<Item = &str> {
    let groups = text
        .split("use std::{")
        .skip(1)
        .filter_map(|rest| rest.split(';').next());
    groups.flat_map(|group| group.split(|c: char| !c.is_alphanumeric() && c != '_'))
}

#[test]
fn nothing_is_left_unfinished_or_ignored() {
    let marks = [
        ["TO", "DO"],
        ["FIX", "ME"],
        ["todo", "!("],
        ["unimplemented", "!("],
        ["#[", "ignore"],
    ];
    let marks = marks.map(|halves| halves.concat());
    without(&files(&root()), &marks.each_ref().map(String::as_str));
}

#[test]
fn no_file_names_a_folder_of_some_machine() {
    let folders = ["work", "root", "tmp"].map(|name| ["/", name, "/"].concat());
    without(&files(&root()), &folders.each_ref().map(String::as_str));
}

#[test]
fn the_readmes_commands_are_there() {
    let readme = fs::read_to_string(root().join("README.md")).expect("there is a README.md");
    for command in ["cargo run --release -p echo-proxy -- demo", "tests/run"] {
        assert!(readme.contains(command), "README.md has no {command:?}");
    }
    let first: Vec<&str> = readme.lines().take(15).collect();
    assert!(
        first
            .join("\n")
            .contains("cargo run --release -p echo-proxy"),
        "something runs by line 15"
    );
    // What it links to exists.
    for link in readme
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split([')', '#']).next())
    {
        let is_file = !link.is_empty() && !link.contains("://");
        assert!(
            !is_file || root().join(link).exists(),
            "README.md links to {link:?}, which is not there"
        );
    }
    let run = root().join("tests/run");
    let script = fs::read_to_string(&run).expect("there is a tests/run");
    assert!(
        script.starts_with("#!/usr/bin/env bash\n"),
        "{}",
        run.display()
    );
}
