use tree_sitter::{Language, Parser, Tree};

/// A programming language that code is parsed in.
#[derive(Debug, Clone)]
pub(crate) struct Grammar {
    language: Language,
    /// The words with a fixed meaning.
    pub(crate) keywords: &'static [&'static str],
}

impl Grammar {
    /// By the name that editors and servers give it; `None` for a language that is not parsed.
    pub(crate) fn of(name: &str) -> Option<Self> {
        let (language, keywords): (Language, _) = match name.to_ascii_lowercase().as_str() {
            "python" | "py" => (tree_sitter_python::LANGUAGE.into(), PYTHON),
            "javascript" | "javascriptreact" | "js" | "jsx" => {
                (tree_sitter_javascript::LANGUAGE.into(), JAVASCRIPT)
            }
            "typescript" | "ts" => (
                tree_sitter_typescript::LANGUAGE_TYPESCRIPT.into(),
                JAVASCRIPT,
            ),
            "typescriptreact" | "tsx" => (tree_sitter_typescript::LANGUAGE_TSX.into(), JAVASCRIPT),
            "go" => (tree_sitter_go::LANGUAGE.into(), GO),
            "rust" | "rs" => (tree_sitter_rust::LANGUAGE.into(), RUST),
            "java" => (tree_sitter_java::LANGUAGE.into(), JAVA),
            "c" => (tree_sitter_c::LANGUAGE.into(), C),
            _ => return None,
        };
        Some(Self { language, keywords })
    }

    /// Parses a text; what cannot be parsed becomes a node that says so. `None` when the grammar is of
    /// another version than the library.
    pub(crate) fn parse(&self, text: &str) -> Option<Tree> {
        let mut parser = Parser::new();
        parser.set_language(&self.language).ok()?;
        parser.parse(text, None)
    }
}

const PYTHON: &[&str] = &[
    "False", "None", "True", "and", "as", "assert", "async", "await", "break", "case", "class",
    "continue", "def", "del", "elif", "else", "except", "finally", "for", "from", "global", "if",
    "import", "in", "is", "lambda", "match", "nonlocal", "not", "or", "pass", "raise", "return",
    "try", "type", "while", "with", "yield",
];

const JAVASCRIPT: &[&str] = &[
    "await",
    "break",
    "case",
    "catch",
    "class",
    "const",
    "continue",
    "debugger",
    "default",
    "delete",
    "do",
    "else",
    "enum",
    "export",
    "extends",
    "false",
    "finally",
    "for",
    "function",
    "if",
    "implements",
    "import",
    "in",
    "instanceof",
    "interface",
    "let",
    "new",
    "null",
    "package",
    "private",
    "protected",
    "public",
    "return",
    "static",
    "super",
    "switch",
    "this",
    "throw",
    "true",
    "try",
    "typeof",
    "var",
    "void",
    "while",
    "with",
    "yield",
];

const GO: &[&str] = &[
    "break",
    "case",
    "chan",
    "const",
    "continue",
    "default",
    "defer",
    "else",
    "fallthrough",
    "false",
    "for",
    "func",
    "go",
    "goto",
    "if",
    "import",
    "interface",
    "map",
    "package",
    "range",
    "return",
    "select",
    "struct",
    "switch",
    "true",
    "type",
    "var",
];

const RUST: &[&str] = &[
    "as", "async", "await", "bool", "break", "char", "const", "continue", "crate", "dyn", "else",
    "enum", "extern", "f32", "f64", "false", "fn", "for", "i128", "i16", "i32", "i64", "i8", "if",
    "impl", "in", "isize", "let", "loop", "match", "mod", "move", "mut", "pub", "ref", "return",
    "self", "static", "str", "struct", "super", "trait", "true", "type", "u128", "u16", "u32",
    "u64", "u8", "union", "unsafe", "use", "usize", "where", "while", "yield",
];

const JAVA: &[&str] = &[
    "abstract",
    "assert",
    "boolean",
    "break",
    "byte",
    "case",
    "catch",
    "char",
    "class",
    "const",
    "continue",
    "default",
    "do",
    "double",
    "else",
    "enum",
    "extends",
    "final",
    "finally",
    "float",
    "for",
    "goto",
    "if",
    "implements",
    "import",
    "instanceof",
    "int",
    "interface",
    "long",
    "native",
    "new",
    "package",
    "private",
    "protected",
    "public",
    "return",
    "short",
    "static",
    "strictfp",
    "super",
    "switch",
    "synchronized",
    "this",
    "throw",
    "throws",
    "transient",
    "try",
    "void",
    "volatile",
    "while",
];

const C: &[&str] = &[
    "auto", "break", "case", "char", "const", "continue", "default", "do", "double", "else",
    "enum", "extern", "float", "for", "goto", "if", "int", "long", "register", "return", "short",
    "signed", "sizeof", "static", "struct", "switch", "typedef", "union", "unsigned", "void",
    "volatile", "while",
];
