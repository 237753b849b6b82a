//! Simulated editors whose users' every proposal has a known fate, to measure how well fates are read from
//! requests.
//!
//! A simulated user writes real-looking code key by key under the habits of one client: which window it
//! sends, when it asks, what it keeps, shows and tells. The text remembers which proposal every
//! character came from, so that the true fate and the true kept share are counted and not inferred. The
//! tracker sees exactly what a server would see of it. Time is simulated; nothing sleeps.
//!
//! Compared are those proposals of which the requests tell at all: the truth when the last request showed
//! the proposal's place must be the truth at its settlement. The others are counted by the reason for which
//! they are not told of.

mod case;
mod client;
mod follower;
mod matrix;
mod oracle;
mod profile;
mod session;
mod sheet;

use echo_reward::Fate;

pub use matrix::{Matrix, Untold};
pub use profile::{Ahead, Asking, Cache, PROFILES, Profile, Telling, WindowRule};

use matrix::{Reading, read};
use session::Session;

/// The texts that simulated users write, written for this purpose.
const TEXTS: [&str; 4] = [
    include_str!("fates/texts/stock.py"),
    include_str!("fates/texts/route.ts"),
    include_str!("fates/texts/cache.rs"),
    include_str!("fates/texts/queue.go"),
];

/// A proposal and how it was read, for people to look into.
#[derive(Debug, Clone)]
pub struct Account {
    /// What truly became of it; `None` when the requests do not tell.
    pub fate: Option<Fate>,
    /// What was inferred.
    pub inferred: Fate,
    /// Whether that is wrong: another fate, or a rejection where nothing tells.
    pub is_misread: bool,
    /// What happened, line by line.
    pub story: Vec<String>,
}

/// Runs session number `number` of a profile, adds what was read to `matrix`, and returns an account of each
/// proposal.
pub fn run(profile: &Profile, seed: u64, number: u64, matrix: &mut Matrix) -> Vec<Account> {
    let text = TEXTS[usize::try_from(number).unwrap_or(0) % TEXTS.len()];
    let tells_shown = matches!(profile.telling, Telling::Tabby { .. });
    let mut accounts = Vec::new();
    for case in Session::new(profile, text, seed, number).run() {
        matrix.add(&case, tells_shown);
        let (Some(reading), Some((outcome, truth))) = (read(&case, tells_shown), case.settled)
        else {
            continue;
        };
        let (fate, why, is_misread) = match reading {
            Reading::Told(fate, inferred) => (Some(fate), String::new(), fate != inferred),
            Reading::Untold(why) => {
                let is_rejected = outcome.fate == Fate::Rejected;
                (
                    None,
                    format!(", {}", why.as_str()),
                    why.is_blind() && is_rejected,
                )
            }
        };
        let mut story = case.story;
        story.push(format!(
            "session {number}: {:?} {:.2}, read as {} {:.2}{why}",
            truth.fate, truth.share, outcome.fate, outcome.kept_share
        ));
        accounts.push(Account {
            fate,
            inferred: outcome.fate,
            is_misread,
            story,
        });
    }
    accounts
}
