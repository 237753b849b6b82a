//! The files of sealed segments: their names, and what they say of themselves.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::path::Path;

use parquet::file::metadata::ParquetMetaData;
use parquet::file::reader::{FileReader, SerializedFileReader};
use sha2::{Digest, Sha256};

use crate::error::LogError;
use crate::guard::guarded;

/// The segments' directory within a log's.
pub(crate) const SEGMENTS: &str = "segments";

/// Keys of the metadata in every file.
pub(crate) const KIND_KEY: &str = "echo.kind";
pub(crate) const SCHEMA_KEY: &str = "echo.schema";
pub(crate) const FIRST_KEY: &str = "echo.first_seq";
pub(crate) const LAST_KEY: &str = "echo.last_seq";

/// One file of a segment, as the manifest names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SegmentFile {
    /// The segment's first sequence number; the file's own first row may come later.
    pub(crate) first_seq: u64,
    /// The segment's last sequence number.
    pub(crate) last_seq: u64,
    /// The name of the kind of record in it.
    pub(crate) kind: String,
    /// The name within the segments' directory.
    pub(crate) file: String,
    /// Rows in it.
    pub(crate) rows: u64,
    /// SHA-256 of the whole file, hexadecimal; unknown if no manifest names it.
    pub(crate) sha256: Option<String>,
}

impl SegmentFile {
    /// Reads kind and stretch back from a file's name; rows are unknown then, and 0.
    pub(crate) fn from_name(file: &str) -> Option<Self> {
        let mut parts = file.strip_suffix(".parquet")?.rsplitn(3, '-');
        let (last, first) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        let kind = parts.next()?.to_owned();
        let (file, sha256) = (file.to_owned(), None);
        (first <= last).then_some(Self {
            first_seq: first,
            last_seq: last,
            kind,
            file,
            rows: 0,
            sha256,
        })
    }
}

/// Whether the name is that of a file being written.
pub(crate) fn is_temporary(name: &str) -> bool {
    Path::new(name)
        .extension()
        .is_some_and(|extension| extension == "tmp")
}

/// The segment files in a log's directory by their names, in the log's order.
pub(crate) fn list(directory: &Path) -> Result<Vec<SegmentFile>, LogError> {
    let mut files: Vec<SegmentFile> = names(&directory.join(SEGMENTS))?
        .iter()
        .filter_map(|name| SegmentFile::from_name(name))
        .collect();
    files.sort_by(|a, b| (a.last_seq, &a.kind).cmp(&(b.last_seq, &b.kind)));
    Ok(files)
}

/// The names in a directory, sorted; none if there is no such directory.
pub(crate) fn names(directory: &Path) -> Result<Vec<String>, LogError> {
    let failed = |error: &io::Error| LogError::io("list", directory, error);
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(&error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        names.extend(
            entry
                .map_err(|error| failed(&error))?
                .file_name()
                .into_string()
                .ok(),
        );
    }
    names.sort();
    Ok(names)
}

/// SHA-256 of a file, hexadecimal.
pub(crate) fn sha256_of(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let (mut hash, mut buffer) = (Sha256::new(), vec![0; 1 << 16]);
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hexadecimal(&hash.finalize())),
            read => hash.update(&buffer[..read]),
        }
    }
}

/// What a segment's file says of itself, or why it cannot be read.
pub(crate) fn metadata_of(path: &Path) -> Result<ParquetMetaData, String> {
    guarded(|| {
        let file = File::open(path).map_err(|error| error.to_string())?;
        let reader = SerializedFileReader::new(file).map_err(|error| error.to_string())?;
        Ok(reader.metadata().clone())
    })
}

/// How many rows a segment's file says it has.
pub(crate) fn rows_of(metadata: &ParquetMetaData) -> u64 {
    u64::try_from(metadata.file_metadata().num_rows()).unwrap_or(0)
}

/// A value of a file's own metadata.
pub(crate) fn value(metadata: &ParquetMetaData, key: &str) -> Option<String> {
    let values = metadata.file_metadata().key_value_metadata()?;
    values.iter().find(|pair| pair.key == key)?.value.clone()
}

/// A hash as it is written.
pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_give_kind_and_stretch_back() {
        let check = |name: &str, expected: Option<(&str, u64, u64)>| {
            let file = SegmentFile::from_name(name);
            let found = file
                .as_ref()
                .map(|f| (f.kind.as_str(), f.first_seq, f.last_seq));
            assert_eq!(found, expected, "{name}");
        };
        check(
            "served-00000000000000000008-00000000000000000014.parquet",
            Some(("served", 8, 14)),
        );
        check("new-kind-8-8.parquet", Some(("new-kind", 8, 8)));
        check("served-14-8.parquet", None);
        check("served-8-14.tmp", None);
        check("8-14.parquet", None);
        check("notes.parquet", None);
    }
}
