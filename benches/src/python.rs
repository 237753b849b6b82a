//! Virtual environments for the programs in Python that ours are compared with.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::LoadError;

/// A Python in the folder of this name beside the build, in which the module can be imported; made, with these calls of
/// `pip install` one after the other, if it is not there yet.
///
/// # Errors
/// If it cannot be made or something cannot be installed.
pub fn environment(name: &str, module: &str, installs: &[&[&str]]) -> Result<PathBuf, LoadError> {
    let folder = beside_build(name)?;
    let python = folder.join("bin/python");
    let is_there = Command::new(&python)
        .args(["-m", "pip", "show", "--quiet", module])
        .output();
    if is_there.is_ok_and(|output| output.status.success()) {
        return Ok(python);
    }
    eprintln!("installing {module} in {} ...", folder.display());
    run(Command::new("python3")
        .args(["-m", "venv", "--clear"])
        .arg(&folder))?;
    for more in installs {
        pip(&python, &[&["install"], *more].concat())?;
    }
    Ok(python)
}

/// Calls pip.
///
/// # Errors
/// If it fails.
pub fn pip(python: &Path, arguments: &[&str]) -> Result<(), LoadError> {
    let (command, rest) = arguments.split_at(arguments.len().min(1));
    run(Command::new(python)
        .args(["-m", "pip"])
        .args(command)
        .args(["--quiet", "--disable-pip-version-check"])
        .args(rest))
}

/// A folder beside that of the build's profile.
///
/// # Errors
/// If this program lies nowhere.
pub fn beside_build(name: &str) -> Result<PathBuf, LoadError> {
    let own = std::env::current_exe().map_err(|error| LoadError::program(name, error))?;
    let target = own.parent().and_then(Path::parent);
    let target = target.ok_or_else(|| LoadError::program(name, "there is no target folder"))?;
    Ok(target.join(name))
}

fn run(command: &mut Command) -> Result<(), LoadError> {
    let name = command.get_program().to_string_lossy().into_owned();
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(LoadError::program(name, format!("{command:?}: {status}"))),
        Err(error) => Err(LoadError::program(name, error)),
    }
}
