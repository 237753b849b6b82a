//! Tables that are kept in `benches/runs`.

use std::path::PathBuf;

use crate::error::LoadError;
use crate::load::Machine;

/// Writes what the program `name` found, with the command that found it, to a dated file in `benches/runs`.
///
/// # Errors
/// If the file cannot be written or the machine cannot be looked at.
pub fn save(name: &str, title: &str, tables: &str) -> Result<(), LoadError> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("runs");
    let fails = |source| LoadError::file(&folder, source);
    std::fs::create_dir_all(&folder).map_err(fails)?;
    let machine = Machine::look(&folder)?;
    let date: String = machine
        .date
        .chars()
        .map(|c| if c.is_ascii_digit() { c } else { '-' })
        .collect();
    let given: Vec<String> = std::env::args().skip(1).collect();
    let file = folder.join(format!("{date}-{name}.md"));
    let text = format!(
        "# {title}, {}\n\n`cargo run --release -p echo-benches --bin {name} -- {}`\n\n{tables}\n",
        machine.date,
        given.join(" ")
    );
    std::fs::write(&file, text).map_err(fails)?;
    eprintln!("saved as {}", file.display());
    Ok(())
}
