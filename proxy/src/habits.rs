//! What each kind of client is known to do with an answer before it shows it.

use echo_reward::Habits;

/// The habits of a kind of client, as [`crate::caller::Identity`] names it.
///
/// Tabby's agent drops texts of fewer than four characters; Continue, and llm-ls inside a line, show the
/// first line of several. Any other client shows what it gets. Where it is said how long a client waits before it asks,
/// that is the least; of any other it is learned from its requests.
pub fn of(client: &str) -> Habits {
    match client {
        "tabby" => Habits {
            least_chars: 4,
            pause_ms: 100,
            ..Habits::default()
        },
        "continue" => Habits {
            first_line: true,
            pause_ms: 350,
            ..Habits::default()
        },
        "llm-ls" => Habits {
            first_line: true,
            pause_ms: 150,
            ..Habits::default()
        },
        "minuet" => waits(400),
        "zed" => waits(75),
        "zed-codestral" => waits(150),
        _ => Habits::default(),
    }
}

/// A client that shows what it gets, and waits for so many milliseconds.
fn waits(pause_ms: u32) -> Habits {
    Habits {
        pause_ms,
        ..Habits::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_client_drops_what_it_drops() {
        assert!(!of("tabby").shows(" x1\n") && of("tabby").shows("x = 1"));
        assert!(of("curl").shows("x") && !of("curl").shows(" \n"));
    }
}
