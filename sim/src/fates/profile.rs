use echo_reward::Habits;

/// The habits of one editor client, as far as its requests depend on them.
///
/// Sources are the clients' own code and recordings of it; CLIENTS in the sources' words: window sent,
/// when it asks, what it keeps, what it shows, what it tells.
#[derive(Debug, Clone, Copy, PartialEq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own, whatever the others"
)]
pub struct Profile {
    /// The client's name.
    pub name: &'static str,
    /// How much text around the cursor it sends.
    pub window: WindowRule,
    /// Whether it sends the file's name.
    pub names_file: bool,
    /// When it asks.
    pub asking: Asking,
    /// Whether a change of the text aborts the requests on their way.
    pub aborts: bool,
    /// Identical requests for one place.
    pub fan_out: usize,
    /// Which answers it keeps.
    pub cache: Cache,
    /// Whether a proposal stays on the screen, without a request, while it is typed by hand.
    pub types_through: bool,
    /// After how many milliseconds it asks again when a proposal was taken; `None` when not before the next
    /// key.
    pub after_taking_ms: Option<f64>,
    /// Whether and how it asks ahead of its user.
    pub ahead: Ahead,
    /// What it does with an answer before it shows it.
    pub habits: Habits,
    /// What it tells of its proposals.
    pub telling: Telling,
    /// Whether its user can take a line of several.
    pub takes_lines: bool,
}

/// How much text around the cursor a client sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WindowRule {
    /// So many lines before and after.
    Lines(usize, usize),
    /// So many characters before and after, cut anywhere.
    Chars(usize, usize),
    /// Whole lines of at most so many characters before and after.
    WholeLines(usize, usize),
}

/// When a client asks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Asking {
    /// When nothing was typed for so long, in milliseconds, and the last request is at least so old.
    Pause {
        /// Quiet before it asks.
        debounce_ms: f64,
        /// Least time between two requests.
        throttle_ms: f64,
    },
    /// At every key, one request at a time.
    EveryKey,
}

/// Which answers a client keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cache {
    /// None.
    None,
    /// By all of the text around the cursor.
    Place,
    /// By the text before the cursor.
    Prefix,
}

/// Whether and how a client asks ahead of its user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ahead {
    /// It does not.
    Never,
    /// As soon as a proposal is shown, and it says so.
    Said,
    /// As soon as it has an answer, in a request like any other.
    Unsaid,
}

/// What a client tells of its proposals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Telling {
    /// Nothing.
    Nothing,
    /// What it shows and what is taken; what is typed over or closed counts as dismissed if `dismissals`.
    Tabby {
        /// Whether typing on is told as a dismissal.
        dismissals: bool,
    },
    /// What was shown of a proposal that was taken, and ten seconds later of one that was not.
    Continue,
}

const SILENT: Profile = Profile {
    name: "",
    window: WindowRule::Lines(256, 64),
    names_file: false,
    asking: Asking::EveryKey,
    aborts: false,
    fan_out: 1,
    cache: Cache::None,
    types_through: false,
    after_taking_ms: None,
    ahead: Ahead::Never,
    habits: Habits {
        first_line: false,
        least_chars: 0,
        pause_ms: 0,
    },
    telling: Telling::Nothing,
    takes_lines: true,
};

const fn pause(debounce_ms: f64, throttle_ms: f64) -> Asking {
    Asking::Pause {
        debounce_ms,
        throttle_ms,
    }
}

/// A client that shows what it gets, and is known to wait at least so long, in milliseconds.
const fn waits(pause_ms: u32) -> Habits {
    Habits {
        first_line: false,
        least_chars: 0,
        pause_ms,
    }
}

/// Every profile.
pub const PROFILES: [Profile; 12] = [
    Profile {
        name: "tabby-vscode",
        window: WindowRule::Lines(20, 20),
        names_file: true,
        asking: pause(250.0, 0.0),
        aborts: true,
        cache: Cache::Place,
        types_through: true,
        after_taking_ms: Some(150.0),
        habits: Habits {
            first_line: false,
            least_chars: 4,
            pause_ms: 100,
        },
        telling: Telling::Tabby { dismissals: true },
        ..SILENT
    },
    Profile {
        name: "tabby-vim",
        window: WindowRule::Lines(20, 20),
        names_file: true,
        asking: pause(250.0, 0.0),
        aborts: true,
        cache: Cache::Place,
        habits: Habits {
            first_line: false,
            least_chars: 4,
            pause_ms: 100,
        },
        telling: Telling::Tabby { dismissals: false },
        ..SILENT
    },
    Profile {
        name: "continue",
        window: WindowRule::WholeLines(1_200, 800),
        asking: pause(350.0, 0.0),
        aborts: true,
        cache: Cache::Prefix,
        types_through: true,
        habits: Habits {
            first_line: true,
            least_chars: 0,
            pause_ms: 350,
        },
        takes_lines: false,
        ..SILENT
    },
    Profile {
        name: "continue-devdata",
        window: WindowRule::WholeLines(1_200, 800),
        asking: pause(350.0, 0.0),
        aborts: true,
        cache: Cache::Prefix,
        types_through: true,
        habits: Habits {
            first_line: true,
            least_chars: 0,
            pause_ms: 350,
        },
        telling: Telling::Continue,
        takes_lines: false,
        ..SILENT
    },
    Profile {
        name: "llama.vim",
        cache: Cache::Place,
        after_taking_ms: Some(60.0),
        ahead: Ahead::Said,
        ..SILENT
    },
    Profile {
        name: "llama.vscode",
        asking: pause(100.0, 0.0),
        cache: Cache::Place,
        types_through: true,
        after_taking_ms: Some(60.0),
        ahead: Ahead::Unsaid,
        ..SILENT
    },
    Profile {
        name: "minuet-nvim",
        window: WindowRule::Chars(12_000, 4_000),
        asking: pause(400.0, 1_000.0),
        habits: waits(400),
        aborts: true,
        fan_out: 3,
        types_through: true,
        after_taking_ms: Some(500.0),
        ..SILENT
    },
    Profile {
        name: "minuet-emacs",
        window: WindowRule::Chars(12_000, 4_000),
        asking: pause(400.0, 1_000.0),
        habits: waits(400),
        aborts: true,
        fan_out: 3,
        ..SILENT
    },
    Profile {
        name: "llm-ls",
        window: WindowRule::WholeLines(2_000, 2_000),
        asking: pause(150.0, 0.0),
        after_taking_ms: Some(150.0),
        habits: Habits {
            first_line: true,
            least_chars: 0,
            pause_ms: 150,
        },
        takes_lines: false,
        ..SILENT
    },
    Profile {
        name: "twinny",
        window: WindowRule::Lines(85, 15),
        asking: pause(300.0, 0.0),
        aborts: true,
        takes_lines: false,
        ..SILENT
    },
    Profile {
        name: "zed",
        window: WindowRule::WholeLines(1_000, 1_000),
        asking: pause(75.0, 300.0),
        habits: waits(75),
        aborts: true,
        types_through: true,
        after_taking_ms: Some(10.0),
        ..SILENT
    },
    Profile {
        name: "zed-codestral",
        window: WindowRule::Chars(693, 357),
        asking: pause(150.0, 300.0),
        habits: waits(150),
        aborts: true,
        types_through: true,
        after_taking_ms: Some(10.0),
        ..SILENT
    },
];
