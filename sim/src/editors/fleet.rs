use crate::editors::client::{Client, http_client};
use crate::editors::editor::{Editor, Progress, Tempo};
use crate::editors::error::EditorError;
use crate::editors::script::{SourceDocument, is_writable};
use crate::editors::taste::Taste;
use crate::editors::truth::EditorEvent;
use crate::random::Random;
use futures_util::future::join_all;
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How a fleet works.
#[derive(Clone, Debug, PartialEq)]
pub struct FleetSettings {
    /// Number of users; each has at most one request open.
    pub users: usize,
    /// Everything the users choose follows from this and from the answers.
    pub seed: u64,
    /// Simulated seconds per real second, above 0. Infinite: nobody waits for anything but answers,
    /// and those as long as it takes.
    pub pace: f64,
    /// Real time a user waits for an answer at the least, whatever the pace.
    pub patience_floor: Duration,
    /// Model to ask for: `echo` to be routed, or the name of an arm.
    pub model: String,
    /// Key sent as bearer token.
    pub bearer: Option<String>,
    /// What user names begin with; a number follows.
    pub user_prefix: String,
    /// Answers after which each user stops; without it they go on until the run is stopped.
    pub answers_per_user: Option<u64>,
}

impl Default for FleetSettings {
    fn default() -> Self {
        Self {
            users: 8,
            seed: 1,
            pace: 1.0,
            patience_floor: Duration::from_millis(400),
            model: "echo".to_owned(),
            bearer: None,
            user_prefix: "user-".to_owned(),
            answers_per_user: None,
        }
    }
}

/// A group of simulated users who write real documents against a server.
///
/// All of them run inside the future that [`Fleet::run`] returns; nothing is spawned.
#[derive(Debug)]
pub struct Fleet {
    settings: FleetSettings,
    documents: Vec<SourceDocument>,
    http: reqwest::Client,
}

impl Fleet {
    /// A fleet that writes `documents`. Those without a paragraph to type are left out.
    ///
    /// Installs rustls' ring provider for the process if there is none yet.
    ///
    /// # Errors
    /// [`EditorError`] if there is nobody, nothing to write, no forward pace, or no HTTP client.
    pub fn new(
        settings: FleetSettings,
        documents: Vec<SourceDocument>,
    ) -> Result<Self, EditorError> {
        if settings.users == 0 {
            return Err(EditorError::NoUsers);
        }
        if settings.pace.is_nan() || settings.pace <= 0.0 {
            return Err(EditorError::Pace {
                pace: settings.pace,
            });
        }
        let mut documents = documents;
        documents.retain(is_writable);
        if documents.is_empty() {
            return Err(EditorError::NoDocuments);
        }
        Ok(Self {
            settings,
            documents,
            http: http_client()?,
        })
    }

    /// Each user's name and taste, in order.
    pub fn users(&self) -> Vec<(String, Taste)> {
        (0..self.settings.users)
            .map(|number| (self.name(number), self.taste(number).0))
            .collect()
    }

    /// Lets all users work against the server at `base_url` until `stop` is cancelled or each has
    /// finished. `on` is told everything that happens, as it happens.
    pub async fn run(
        &self,
        base_url: &str,
        stop: CancellationToken,
        on: impl Fn(EditorEvent) + Send + Sync,
    ) {
        let settings = &self.settings;
        let client = Client::new(
            self.http.clone(),
            base_url,
            settings.bearer.clone(),
            settings.model.clone(),
        );
        let started = Instant::now();
        let editors = (0..settings.users).map(|number| {
            let (taste, random) = self.taste(number);
            let editor = Editor {
                user: self.name(number),
                documents: self.documents_for(&taste),
                taste,
                random,
                client: &client,
                tempo: Tempo {
                    pace: settings.pace,
                    patience_floor: settings.patience_floor,
                },
                stop: &stop,
                started,
                quota: settings.answers_per_user,
                on: &on,
                progress: Progress::default(),
            };
            editor.run()
        });
        join_all(editors).await;
    }

    fn name(&self, number: usize) -> String {
        format!("{}{number:02}", self.settings.user_prefix)
    }

    fn taste(&self, number: usize) -> (Taste, Random) {
        let mut random = Random::new(self.settings.seed, number as u64);
        let languages: BTreeSet<String> = self
            .documents
            .iter()
            .map(|document| document.language.clone())
            .collect();
        let languages: Vec<String> = languages.into_iter().collect();
        (Taste::draw(&mut random, &languages), random)
    }

    fn documents_for(&self, taste: &Taste) -> Vec<&SourceDocument> {
        self.documents
            .iter()
            .filter(|document| taste.languages.contains(&document.language))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn documents(text: &str) -> Vec<SourceDocument> {
        vec![SourceDocument {
            path: "a.rs".to_owned(),
            language: "rust".to_owned(),
            text: text.to_owned(),
        }]
    }

    #[test]
    fn impossible_fleets_are_refused() {
        let new = |change: fn(&mut FleetSettings), text| {
            let mut settings = FleetSettings::default();
            change(&mut settings);
            Fleet::new(settings, documents(text))
        };
        assert!(matches!(
            new(|s| s.users = 0, "a\n"),
            Err(EditorError::NoUsers)
        ));
        assert!(matches!(
            new(|s| s.pace = 0.0, "a\n"),
            Err(EditorError::Pace { .. })
        ));
        assert!(matches!(
            new(|s| s.pace = f64::NAN, "a\n"),
            Err(EditorError::Pace { .. })
        ));
        assert!(matches!(new(|_| {}, "\n"), Err(EditorError::NoDocuments)));
        assert!(new(|s| s.pace = f64::INFINITY, "a\n").is_ok());
    }

    #[test]
    fn users_follow_from_the_seed() {
        let users = |seed| {
            let settings = FleetSettings {
                seed,
                ..FleetSettings::default()
            };
            Fleet::new(settings, documents("a\n"))
                .map(|fleet| fleet.users())
                .ok()
        };
        assert_eq!(users(1), users(1));
        assert_ne!(users(1), users(2));
    }
}
