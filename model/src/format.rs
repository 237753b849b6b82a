//! How trained models are written: magic, version, fingerprint, vocabulary, tables, SHA-256.
//!
//! Numbers are little-endian. Every array is a count (u64) and its elements (u32).

use std::{
    collections::BTreeMap,
    io::{ErrorKind, Read, Write},
};

use sha2::{Digest, Sha256};

use crate::{Language, MAX_FINGERPRINT, ModelError, table::Table, vocabulary::Vocabulary};

pub(crate) fn save(
    writer: impl Write,
    fingerprint: &str,
    vocabulary: &Vocabulary,
    tables: &BTreeMap<Language, Table>,
) -> Result<(), ModelError> {
    let mut sink = Sink {
        writer,
        digest: Sha256::new(),
    };
    sink.bytes(&MAGIC)?;
    sink.bytes(&VERSION.to_le_bytes())?;
    sink.text(fingerprint)?;
    sink.text(vocabulary.texts())?;
    sink.array(vocabulary.starts())?;
    sink.length(tables.len())?;
    for (language, table) in tables {
        sink.length(language.code())?;
        sink.array(table.text())?;
        sink.array(table.ends())?;
    }
    let digest = sink.digest.clone().finalize();
    sink.bytes(&digest)?;
    Ok(sink.writer.flush()?)
}

type Parts = (String, Vocabulary, BTreeMap<Language, Table>);

pub(crate) fn load(reader: impl Read) -> Result<Parts, ModelError> {
    let mut source = Source {
        reader,
        digest: Sha256::new(),
    };
    source.head()?;
    let fingerprint = source.text("fingerprint", MAX_FINGERPRINT as u64)?;
    let texts = source.text("vocabulary", MAX_VOCABULARY)?;
    let starts = source.array("vocabulary", MAX_VOCABULARY)?;
    let count = source.length("list of tables", Language::ALL.len() as u64)?;
    let mut parts = Vec::new();
    for _ in 0..count {
        let code = source.length("language", Language::ALL.len() as u64 - 1)?;
        let text = source.array("corpus", MAX_TOKENS)?;
        let ends = source.array("contexts", MAX_TOKENS)?;
        parts.push((Language::ALL[code], text, ends));
    }
    source.check()?;
    let corrupted = |reason| ModelError::Corrupted { reason };
    let vocabulary = if starts.is_empty() {
        Some(Vocabulary::default())
    } else {
        Vocabulary::new(texts, starts)
    };
    let vocabulary = vocabulary.ok_or(corrupted("the vocabulary contradicts itself"))?;
    let mut tables = BTreeMap::new();
    for (language, text, ends) in parts {
        let table = Table::restore(text, ends, vocabulary.len());
        tables.insert(
            language,
            table.ok_or(corrupted("a table contradicts itself"))?,
        );
    }
    Ok((fingerprint, vocabulary, tables))
}

struct Sink<W> {
    writer: W,
    digest: Sha256,
}

impl<W: Write> Sink<W> {
    fn bytes(&mut self, bytes: &[u8]) -> Result<(), ModelError> {
        self.digest.update(bytes);
        Ok(self.writer.write_all(bytes)?)
    }

    fn length(&mut self, length: usize) -> Result<(), ModelError> {
        self.bytes(&(length as u64).to_le_bytes())
    }

    fn text(&mut self, text: &str) -> Result<(), ModelError> {
        self.length(text.len())?;
        self.bytes(text.as_bytes())
    }

    fn array(&mut self, array: &[u32]) -> Result<(), ModelError> {
        self.length(array.len())?;
        let mut block = Vec::with_capacity(BLOCK);
        for part in array.chunks(BLOCK / 4) {
            block.clear();
            block.extend(part.iter().flat_map(|number| number.to_le_bytes()));
            self.bytes(&block)?;
        }
        Ok(())
    }
}

struct Source<R> {
    reader: R,
    digest: Sha256,
}

impl<R: Read> Source<R> {
    fn head(&mut self) -> Result<(), ModelError> {
        let mut magic = [0; 8];
        self.bytes(&mut magic, "magic bytes")?;
        if magic != MAGIC {
            return Err(ModelError::Foreign { found: magic });
        }
        let mut version = [0; 4];
        self.bytes(&mut version, "version")?;
        match u32::from_le_bytes(version) {
            VERSION => Ok(()),
            found => Err(ModelError::Version {
                found,
                supported: VERSION,
            }),
        }
    }

    fn bytes(&mut self, bytes: &mut [u8], reading: &'static str) -> Result<(), ModelError> {
        self.reader
            .read_exact(bytes)
            .map_err(|error| match error.kind() {
                ErrorKind::UnexpectedEof => ModelError::Truncated { reading },
                _ => ModelError::Io(error),
            })?;
        self.digest.update(bytes);
        Ok(())
    }

    fn length(&mut self, reading: &'static str, limit: u64) -> Result<usize, ModelError> {
        let mut bytes = [0; 8];
        self.bytes(&mut bytes, reading)?;
        let found = u64::from_le_bytes(bytes);
        let length = usize::try_from(found).ok().filter(|_| found <= limit);
        length.ok_or(ModelError::TooLong {
            reading,
            found,
            limit,
        })
    }

    /// Reads in blocks: a length that lies costs no more memory than the file has bytes.
    fn blocks(
        &mut self,
        reading: &'static str,
        length: usize,
        mut take: impl FnMut(&[u8]),
    ) -> Result<(), ModelError> {
        let mut block = vec![0; length.min(BLOCK)];
        let mut left = length;
        while left > 0 {
            let part = &mut block[..left.min(BLOCK)];
            self.bytes(part, reading)?;
            left -= part.len();
            take(part);
        }
        Ok(())
    }

    fn text(&mut self, reading: &'static str, limit: u64) -> Result<String, ModelError> {
        let length = self.length(reading, limit)?;
        let mut bytes = Vec::new();
        self.blocks(reading, length, |block| bytes.extend_from_slice(block))?;
        String::from_utf8(bytes).map_err(|_| ModelError::Corrupted {
            reason: "a text is not UTF-8",
        })
    }

    fn array(&mut self, reading: &'static str, limit: u64) -> Result<Vec<u32>, ModelError> {
        let length = self.length(reading, limit)?;
        let mut array = Vec::new();
        self.blocks(reading, length * 4, |block| {
            let (numbers, _) = block.as_chunks::<4>();
            array.extend(numbers.iter().map(|&bytes| u32::from_le_bytes(bytes)));
        })?;
        Ok(array)
    }

    fn check(&mut self) -> Result<(), ModelError> {
        let expected = self.digest.clone().finalize();
        let mut found = [0; 32];
        self.bytes(&mut found, "checksum")?;
        if expected.as_slice() == found {
            Ok(())
        } else {
            Err(ModelError::Corrupted {
                reason: "the SHA-256 does not match",
            })
        }
    }
}

const MAGIC: [u8; 8] = *b"ECHOMODL";
const VERSION: u32 = 1;
/// Bytes read and written at a time; a multiple of 4.
const BLOCK: usize = 256 << 10;
/// The most bytes, or texts, of a vocabulary.
const MAX_VOCABULARY: u64 = 1 << 29;
/// The most tokens of one language.
const MAX_TOKENS: u64 = 1 << 29;
