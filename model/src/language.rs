//! The languages the embedded models tell apart.

use std::fmt;

/// A programming, data or prose language.
///
/// Each language has its own global table (see [`TrainedModels`](crate::TrainedModels)), so that
/// Rust never completes Python. Everything unrecognised is [`Language::Other`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Language {
    Rust,
    Python,
    JavaScript,
    TypeScript,
    C,
    Cpp,
    Go,
    Java,
    CSharp,
    Kotlin,
    Swift,
    Ruby,
    Php,
    Perl,
    Lua,
    Shell,
    Assembly,
    Toml,
    Json,
    Yaml,
    Markdown,
    Html,
    Css,
    Sql,
    Other,
}

impl Language {
    /// Every language, in the order of its code in saved files.
    pub const ALL: [Self; 25] = [
        Self::Rust,
        Self::Python,
        Self::JavaScript,
        Self::TypeScript,
        Self::C,
        Self::Cpp,
        Self::Go,
        Self::Java,
        Self::CSharp,
        Self::Kotlin,
        Self::Swift,
        Self::Ruby,
        Self::Php,
        Self::Perl,
        Self::Lua,
        Self::Shell,
        Self::Assembly,
        Self::Toml,
        Self::Json,
        Self::Yaml,
        Self::Markdown,
        Self::Html,
        Self::Css,
        Self::Sql,
        Self::Other,
    ];

    /// The canonical lower-case name, for example `rust` or `javascript`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::Python => "python",
            Self::JavaScript => "javascript",
            Self::TypeScript => "typescript",
            Self::C => "c",
            Self::Cpp => "cpp",
            Self::Go => "go",
            Self::Java => "java",
            Self::CSharp => "csharp",
            Self::Kotlin => "kotlin",
            Self::Swift => "swift",
            Self::Ruby => "ruby",
            Self::Php => "php",
            Self::Perl => "perl",
            Self::Lua => "lua",
            Self::Shell => "shell",
            Self::Assembly => "assembly",
            Self::Toml => "toml",
            Self::Json => "json",
            Self::Yaml => "yaml",
            Self::Markdown => "markdown",
            Self::Html => "html",
            Self::Css => "css",
            Self::Sql => "sql",
            Self::Other => "other",
        }
    }

    /// The language of a file, by its name or extension; [`Language::Other`] when neither is known.
    ///
    /// Both `/` and `\` separate folders; letter case is ignored.
    pub fn of_path(path: &str) -> Self {
        let name = path
            .rsplit(['/', '\\'])
            .next()
            .unwrap_or(path)
            .to_ascii_lowercase();
        if let Some(language) = of_file_name(&name) {
            return language;
        }
        match name.rsplit_once('.') {
            Some((_, extension)) => of_extension(extension).unwrap_or(Self::Other),
            None => Self::Other,
        }
    }

    /// The language a client names: a canonical name, an editor's language id
    /// (`typescriptreact`, `shellscript`, `jsonc`) or a file extension with or without its dot.
    ///
    /// `None` when the name says nothing known; letter case is ignored.
    pub fn of_name(name: &str) -> Option<Self> {
        let name = name.trim().trim_start_matches('.').to_ascii_lowercase();
        if let Some(&language) = Self::ALL.iter().find(|language| language.as_str() == name) {
            return Some(language);
        }
        of_client_id(&name).or_else(|| of_extension(&name))
    }

    /// The language of a request: what the client names, else what the file name says, else
    /// [`Language::Other`].
    pub fn of_request(name: Option<&str>, file: Option<&str>) -> Self {
        name.and_then(Self::of_name)
            .or_else(|| file.map(Self::of_path))
            .unwrap_or(Self::Other)
    }

    /// The languages whose tables may stand in for this one, nearest first (this one is first).
    pub(crate) fn kin(self) -> &'static [Self] {
        match self {
            Self::JavaScript => &[Self::JavaScript, Self::TypeScript],
            Self::TypeScript => &[Self::TypeScript, Self::JavaScript],
            Self::C => &[Self::C, Self::Cpp],
            Self::Cpp => &[Self::Cpp, Self::C],
            Self::Rust => &[Self::Rust],
            Self::Python => &[Self::Python],
            Self::Go => &[Self::Go],
            Self::Java => &[Self::Java, Self::Kotlin],
            Self::CSharp => &[Self::CSharp],
            Self::Kotlin => &[Self::Kotlin, Self::Java],
            Self::Swift => &[Self::Swift],
            Self::Ruby => &[Self::Ruby],
            Self::Php => &[Self::Php],
            Self::Perl => &[Self::Perl],
            Self::Lua => &[Self::Lua],
            Self::Shell => &[Self::Shell],
            Self::Assembly => &[Self::Assembly],
            Self::Toml => &[Self::Toml],
            Self::Json => &[Self::Json],
            Self::Yaml => &[Self::Yaml],
            Self::Markdown => &[Self::Markdown],
            Self::Html => &[Self::Html],
            Self::Css => &[Self::Css],
            Self::Sql => &[Self::Sql],
            Self::Other => &[Self::Other],
        }
    }

    /// The code in saved files: the place in [`Language::ALL`].
    pub(crate) fn code(self) -> usize {
        Self::ALL
            .iter()
            .position(|&language| language == self)
            .expect("ALL holds every language")
    }
}

impl fmt::Display for Language {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

fn of_file_name(name: &str) -> Option<Language> {
    Some(match name {
        "makefile" | "gnumakefile" | "dockerfile" | ".bashrc" | ".zshrc" | ".profile" => {
            Language::Shell
        }
        "cargo.lock" | "poetry.lock" | "pipfile" => Language::Toml,
        "gemfile" | "rakefile" => Language::Ruby,
        _ => return None,
    })
}

fn of_extension(extension: &str) -> Option<Language> {
    Some(match extension {
        "rs" => Language::Rust,
        "py" | "pyi" | "pyx" => Language::Python,
        "js" | "jsx" | "mjs" | "cjs" => Language::JavaScript,
        "ts" | "tsx" | "mts" | "cts" => Language::TypeScript,
        "c" | "h" => Language::C,
        "cc" | "cpp" | "cxx" | "hpp" | "hh" | "hxx" | "cu" => Language::Cpp,
        "go" => Language::Go,
        "java" => Language::Java,
        "cs" => Language::CSharp,
        "kt" | "kts" => Language::Kotlin,
        "swift" => Language::Swift,
        "rb" => Language::Ruby,
        "php" => Language::Php,
        "pl" | "pm" => Language::Perl,
        "lua" => Language::Lua,
        "sh" | "bash" | "zsh" | "fish" | "mk" => Language::Shell,
        "s" | "asm" => Language::Assembly,
        "toml" => Language::Toml,
        "json" | "jsonl" | "jsonc" => Language::Json,
        "yml" | "yaml" => Language::Yaml,
        "md" | "markdown" | "rst" | "txt" => Language::Markdown,
        "html" | "htm" | "xml" | "svg" | "vue" | "svelte" => Language::Html,
        "css" | "scss" | "less" => Language::Css,
        "sql" => Language::Sql,
        _ => return None,
    })
}

fn of_client_id(name: &str) -> Option<Language> {
    Some(match name {
        "typescriptreact" => Language::TypeScript,
        "javascriptreact" | "node" | "nodejs" => Language::JavaScript,
        "shellscript" | "makefile" | "dockerfile" => Language::Shell,
        "c++" | "objective-cpp" | "cuda-cpp" => Language::Cpp,
        "objective-c" => Language::C,
        "c#" => Language::CSharp,
        "golang" => Language::Go,
        "python3" => Language::Python,
        "plaintext" | "restructuredtext" => Language::Markdown,
        "rust-analyzer" => Language::Rust,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        for (path, expected) in [
            ("src/lib.rs", Language::Rust),
            ("C:\\work\\Main.PY", Language::Python),
            ("a.b/Makefile", Language::Shell),
            ("a.rs/README", Language::Other),
            ("x.tar.gz", Language::Other),
            ("Cargo.lock", Language::Toml),
            ("", Language::Other),
        ] {
            assert_eq!(Language::of_path(path), expected, "{path}");
        }
    }

    #[test]
    fn names() {
        assert_eq!(
            Language::of_name("TypeScriptReact"),
            Some(Language::TypeScript)
        );
        assert_eq!(Language::of_name(".rs"), Some(Language::Rust));
        assert_eq!(Language::of_name("c++"), Some(Language::Cpp));
        assert_eq!(Language::of_name("klingon"), None);
    }

    #[test]
    fn the_client_goes_before_the_file() {
        assert_eq!(Language::of_request(Some("go"), Some("x.rs")), Language::Go);
        assert_eq!(
            Language::of_request(Some("klingon"), Some("x.rs")),
            Language::Rust
        );
        assert_eq!(Language::of_request(None, None), Language::Other);
    }

    #[test]
    fn every_name_leads_back_to_its_language() {
        for (code, &language) in Language::ALL.iter().enumerate() {
            assert_eq!(Language::of_name(language.as_str()), Some(language));
            assert_eq!(language.code(), code);
            assert_eq!(language.kin()[0], language);
        }
    }
}
