/// The little that must be known of a language to tell code from comments and strings.
#[expect(clippy::struct_excessive_bools, reason = "rules, each independent")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lexis {
    /// `// to the end of the line`.
    pub(crate) slashes: bool,
    /// `# to the end of the line`, at a line's start or after white space.
    pub(crate) hash: bool,
    /// `-- to the end of the line`.
    pub(crate) dashes: bool,
    /// `% to the end of the line`.
    pub(crate) percent: bool,
    /// `; to the end of the line`.
    pub(crate) semicolon: bool,
    /// What brackets a comment of several lines.
    pub(crate) block: Block,
    /// `'text'` is a string; otherwise a quote is a character or an apostrophe.
    pub(crate) single: bool,
    /// `` `text` `` is a string.
    pub(crate) backtick: bool,
    /// Three quotes bracket a string of several lines.
    pub(crate) triple: bool,
}

/// What brackets a comment of several lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Block {
    None,
    /// `/* ... */`.
    Slash,
    /// `<!-- ... -->`.
    Angle,
}

impl Lexis {
    /// The rules of a language by its usual name, in any case; those of an unknown one are rules
    /// that do little harm anywhere.
    pub(crate) fn of(language: Option<&str>) -> Self {
        let mut buffer = [0; NAME_BYTES];
        let name = language.unwrap_or_default().as_bytes();
        let Some(name_lower) = buffer.get_mut(..name.len()) else {
            return Self::UNKNOWN;
        };
        name_lower.copy_from_slice(name);
        name_lower.make_ascii_lowercase();
        match &*name_lower {
            b"rust" | b"rs" | b"c" | b"cpp" | b"c++" | b"cc" | b"h" | b"objective-c" | b"java"
            | b"csharp" | b"c#" | b"cs" | b"swift" | b"zig" | b"scala" | b"proto" => Self::SLASHES,
            b"javascript" | b"js" | b"javascriptreact" | b"jsx" | b"typescript" | b"ts"
            | b"typescriptreact" | b"tsx" | b"go" | b"dart" | b"kotlin" | b"kt" | b"css"
            | b"scss" | b"less" => Self::SCRIPT,
            b"python" | b"py" => Self {
                triple: true,
                ..Self::HASH
            },
            b"ruby" | b"rb" | b"shell" | b"shellscript" | b"sh" | b"bash" | b"zsh" | b"fish"
            | b"perl" | b"pl" | b"r" | b"yaml" | b"yml" | b"toml" | b"make" | b"makefile"
            | b"cmake" | b"dockerfile" | b"elixir" | b"ex" | b"julia" | b"nix" | b"powershell" => {
                Self::HASH
            }
            b"php" => Self {
                slashes: true,
                block: Block::Slash,
                ..Self::HASH
            },
            b"sql" | b"lua" | b"haskell" | b"hs" | b"elm" | b"ada" => Self {
                dashes: true,
                single: true,
                ..Self::PLAIN
            },
            b"tex" | b"latex" | b"erlang" | b"matlab" => Self {
                percent: true,
                ..Self::PLAIN
            },
            b"lisp" | b"clojure" | b"clj" | b"scheme" | b"elisp" | b"asm" | b"ini" => Self {
                semicolon: true,
                ..Self::PLAIN
            },
            b"html" | b"xml" | b"markdown" | b"md" | b"vue" | b"svelte" => Self {
                block: Block::Angle,
                ..Self::PLAIN
            },
            b"json" | b"text" | b"plaintext" | b"txt" => Self::PLAIN,
            _ => Self::UNKNOWN,
        }
    }

    const PLAIN: Self = Self {
        slashes: false,
        hash: false,
        dashes: false,
        percent: false,
        semicolon: false,
        block: Block::None,
        single: false,
        backtick: false,
        triple: false,
    };
    const SLASHES: Self = Self {
        slashes: true,
        block: Block::Slash,
        ..Self::PLAIN
    };
    const SCRIPT: Self = Self {
        single: true,
        backtick: true,
        ..Self::SLASHES
    };
    const HASH: Self = Self {
        hash: true,
        single: true,
        ..Self::PLAIN
    };
    const UNKNOWN: Self = Self {
        hash: true,
        ..Self::SLASHES
    };
}

/// Whether a word is a keyword in one of the common languages.
pub(crate) fn is_keyword(word: &[u8]) -> bool {
    matches!(
        word,
        b"if"
            | b"in"
            | b"is"
            | b"as"
            | b"or"
            | b"do"
            | b"fn"
            | b"of"
            | b"and"
            | b"not"
            | b"for"
            | b"let"
            | b"mut"
            | b"pub"
            | b"use"
            | b"mod"
            | b"ref"
            | b"dyn"
            | b"def"
            | b"del"
            | b"try"
            | b"var"
            | b"new"
            | b"int"
            | b"end"
            | b"elif"
            | b"else"
            | b"enum"
            | b"impl"
            | b"loop"
            | b"move"
            | b"self"
            | b"Self"
            | b"this"
            | b"type"
            | b"from"
            | b"with"
            | b"pass"
            | b"func"
            | b"case"
            | b"true"
            | b"True"
            | b"null"
            | b"None"
            | b"void"
            | b"char"
            | b"bool"
            | b"then"
            | b"when"
            | b"goto"
            | b"async"
            | b"await"
            | b"break"
            | b"class"
            | b"const"
            | b"crate"
            | b"false"
            | b"False"
            | b"match"
            | b"raise"
            | b"super"
            | b"trait"
            | b"where"
            | b"while"
            | b"yield"
            | b"throw"
            | b"catch"
            | b"defer"
            | b"range"
            | b"begin"
            | b"assert"
            | b"except"
            | b"export"
            | b"global"
            | b"import"
            | b"lambda"
            | b"public"
            | b"return"
            | b"select"
            | b"static"
            | b"struct"
            | b"switch"
            | b"typeof"
            | b"unsafe"
            | b"double"
            | b"default"
            | b"extends"
            | b"extern"
            | b"finally"
            | b"package"
            | b"private"
            | b"continue"
            | b"function"
            | b"interface"
            | b"namespace"
            | b"protected"
    )
}

const NAME_BYTES: usize = 16;
