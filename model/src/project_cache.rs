//! What users have sent and kept.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
};

use crate::{
    Language,
    layout::Layout,
    likeness::Passage,
    sequence::{Encoder, Sequence},
};

/// Bounds of the project cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProjectLimits {
    /// Memory in all, in bytes.
    pub max_bytes: usize,
    /// Memory of one user's files, in bytes.
    pub max_user_bytes: usize,
    /// Text kept of one file, in bytes, from its start.
    pub max_file_bytes: usize,
}

impl Default for ProjectLimits {
    fn default() -> Self {
        Self {
            max_bytes: 64 << 20,
            max_user_bytes: 4 << 20,
            max_file_bytes: 64 << 10,
        }
    }
}

/// The texts users have sent or kept, per user and file. Bounded: what was observed longest ago
/// goes first, of the same user when that user has too much, of any user when all have.
///
/// Can be shared between threads; reading waits only while a file is put in its place.
#[derive(Debug, Default)]
pub struct ProjectCache {
    limits: ProjectLimits,
    users: RwLock<Users>,
}

/// A file as it was last observed.
#[derive(Debug)]
pub(crate) struct ProjectFile {
    name: String,
    pub(crate) language: Language,
    text: String,
    pub(crate) sequence: Sequence,
}

#[derive(Debug, Default)]
struct Users {
    files: BTreeMap<String, OwnFiles>,
    bytes: usize,
    /// Counts observations; the only notion of time here.
    observed: u64,
}

/// One user's files, latest first.
#[derive(Debug, Default)]
struct OwnFiles {
    files: Vec<Arc<ProjectFile>>,
    bytes: usize,
    observed: u64,
}

impl ProjectCache {
    /// An empty cache.
    pub fn new(limits: ProjectLimits) -> Self {
        Self {
            limits,
            users: RwLock::default(),
        }
    }

    /// Learns the present text of a user's file, in place of what was known of that file.
    ///
    /// `file` also tells the language; all files named by the empty string are one. An empty text makes the file forgotten. Costs about as much
    /// as reading the text once; the same text again costs next to nothing.
    pub fn observe(&self, user: &str, file: &str, text: &str) {
        let text = &text[..text.floor_char_boundary(self.limits.max_file_bytes)];
        if self.knows(user, file, text) {
            return;
        }
        let new = (!text.trim().is_empty()).then(|| Arc::new(ProjectFile::read(file, text)));
        self.users
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .place(user, file, new, &self.limits);
    }

    /// Forgets everything about a user.
    pub fn forget(&self, user: &str) {
        let mut users = self.users.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = users.files.remove(user) {
            users.bytes -= own.bytes;
        }
    }

    /// Memory in use, in bytes.
    pub fn bytes(&self) -> usize {
        self.users
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .bytes
    }

    /// A user's files in `language`, latest first, without the one named `except`; a file without a
    /// name is the same as one named by the empty string.
    pub(crate) fn files(
        &self,
        user: &str,
        language: Language,
        except: Option<&str>,
    ) -> Vec<Arc<ProjectFile>> {
        let users = self.users.read().unwrap_or_else(PoisonError::into_inner);
        let Some(own) = users.files.get(user) else {
            return Vec::new();
        };
        let present = except.unwrap_or_default();
        let wanted = |file: &&Arc<ProjectFile>| {
            language.kin().contains(&file.language) && file.name != present
        };
        own.files.iter().filter(wanted).cloned().collect()
    }

    fn knows(&self, user: &str, file: &str, text: &str) -> bool {
        let users = self.users.read().unwrap_or_else(PoisonError::into_inner);
        let latest = users.files.get(user).and_then(|own| own.files.first());
        latest.is_some_and(|latest| latest.name == file && latest.text == text)
    }
}

impl Users {
    fn place(
        &mut self,
        user: &str,
        file: &str,
        new: Option<Arc<ProjectFile>>,
        limits: &ProjectLimits,
    ) {
        self.observed += 1;
        let own = self.files.entry(user.to_owned()).or_default();
        self.bytes -= own.bytes;
        own.observed = self.observed;
        own.files.retain(|known| known.name != file);
        own.files.splice(0..0, new);
        own.measure();
        while own.bytes > limits.max_user_bytes && own.files.pop().is_some() {
            own.measure();
        }
        self.bytes += own.bytes;
        if own.files.is_empty() {
            self.files.remove(user);
        }
        while self.bytes > limits.max_bytes && self.drop_oldest() {}
    }

    fn drop_oldest(&mut self) -> bool {
        let oldest = self.files.iter().min_by_key(|(_, own)| own.observed);
        let Some(user) = oldest.map(|(user, _)| user.clone()) else {
            return false;
        };
        if let Some(own) = self.files.remove(&user) {
            self.bytes -= own.bytes;
        }
        true
    }
}

impl OwnFiles {
    fn measure(&mut self) {
        self.bytes = self.files.iter().map(|file| file.bytes()).sum();
    }
}

impl ProjectFile {
    fn read(name: &str, text: &str) -> Self {
        let language = Language::of_path(name);
        let mut sequence = Sequence::default();
        sequence.push_start();
        sequence.read(&mut Encoder::new(
            text,
            language,
            Layout::of(text, language),
        ));
        Self {
            name: name.to_owned(),
            language,
            text: text.to_owned(),
            sequence,
        }
    }

    /// The text of symbol `index`, without the space before it.
    pub(crate) fn core(&self, index: usize) -> &str {
        self.sequence.core(&self.text, index)
    }

    pub(crate) fn passage(&self) -> Passage<'_> {
        Passage {
            text: &self.text,
            sequence: &self.sequence,
        }
    }

    fn bytes(&self) -> usize {
        size_of::<Self>() + self.name.len() + self.text.len() + self.sequence.bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(cache: &ProjectCache, user: &str) -> Vec<String> {
        cache
            .files(user, Language::Rust, None)
            .iter()
            .map(|file| file.name.clone())
            .collect()
    }

    #[test]
    fn the_latest_text_of_each_file_is_kept() {
        let cache = ProjectCache::default();
        cache.observe("ann", "a.rs", "one");
        cache.observe("ann", "b.rs", "two");
        cache.observe("ann", "c.py", "two");
        cache.observe("bob", "a.rs", "three");
        cache.observe("ann", "a.rs", "four");
        assert_eq!(names(&cache, "ann"), ["a.rs", "b.rs"]);
        let files = cache.files("ann", Language::Rust, Some("b.rs"));
        assert_eq!(files.len(), 1);
        assert_eq!(files[0].core(1), "four");
        cache.observe("ann", "a.rs", " ");
        assert_eq!(names(&cache, "ann"), ["b.rs"]);
        cache.forget("ann");
        cache.forget("bob");
        assert_eq!(cache.bytes(), 0);
    }

    #[test]
    fn memory_is_bounded() {
        let limits = ProjectLimits {
            max_bytes: 100_000,
            max_user_bytes: 30_000,
            max_file_bytes: 1_000,
        };
        let cache = ProjectCache::new(limits);
        let text = "let mut total = 0;\n".repeat(200);
        for round in 0..200 {
            cache.observe(
                &format!("user {}", round / 50),
                &format!("{round}.rs"),
                &text,
            );
            assert!(cache.bytes() <= limits.max_bytes);
        }
        let last = names(&cache, "user 3");
        assert_eq!(last[0], "199.rs");
        assert!(last.len() < 10);
        for round in 0..40 {
            cache.observe(&format!("new {round}"), "a.rs", &text);
            assert!(cache.bytes() <= limits.max_bytes);
        }
        assert!(names(&cache, "user 3").is_empty());
        assert_eq!(names(&cache, "new 39"), ["a.rs"]);
        assert!(cache.bytes() > limits.max_bytes / 2);
    }

    #[test]
    fn a_user_over_the_bound_keeps_nothing() {
        let limits = ProjectLimits {
            max_user_bytes: 10,
            ..ProjectLimits::default()
        };
        let cache = ProjectCache::new(limits);
        cache.observe("ann", "a.rs", "one");
        assert_eq!(cache.bytes(), 0);
    }
}
