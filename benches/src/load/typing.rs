use serde_json::json;

use super::behaviour::Behaviour;
use crate::scene;

/// Who sends the requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Crowd {
    /// Every request comes from another user: nothing that was proposed before shows in it.
    Strangers,
    /// So many users go on typing: their requests show what became of earlier proposals.
    Typists(usize),
}

/// The requests of a scenario, made beforehand: users who write one file downwards, a comment and a line of
/// code at a time, and take every other proposal; then the next file.
#[derive(Debug, Clone)]
pub struct Typing {
    crowd: Crowd,
    bodies: Vec<Vec<u8>>,
    behaviours: Vec<Behaviour>,
}

impl Typing {
    /// Requests to `model`, for answers of this behaviour, streamed or not.
    pub fn new(model: &str, behaviour: Behaviour, stream: bool, crowd: Crowd) -> Self {
        let behaviours: Vec<Behaviour> = (0..STEPS)
            .map(|text| Behaviour { text, ..behaviour })
            .collect();
        let above = scene::source(PREFIX_BYTES);
        let below = scene::source(SUFFIX_BYTES);
        let mut file = format!("{above}fn last(rows: &[Row]) -> f64 {{\n");
        let mut bodies = Vec::new();
        for behaviour in &behaviours {
            file = format!("{file}    {behaviour}\n    let kept = rows");
            let body = json!({
                "model": model,
                "prompt": &file[file.len().saturating_sub(PREFIX_BYTES)..],
                "suffix": format!("\n}}\n\n{below}"),
                "max_tokens": 64,
                "stream": stream,
            });
            bodies.push(body.to_string().into_bytes());
            file.push_str(&written(behaviour));
            file.push('\n');
        }
        Self {
            crowd,
            bodies,
            behaviours,
        }
    }

    /// How the upstream answers request `number`.
    pub fn behaviour(&self, number: usize) -> &Behaviour {
        &self.behaviours[self.step(number)]
    }

    /// Writes request `number` in place of what `bytes` held.
    pub fn write(&self, number: usize, bytes: &mut Vec<u8>) {
        let (user, file) = match self.crowd {
            Crowd::Strangers => (number, 0),
            Crowd::Typists(users) => (number % users, number / users / STEPS),
        };
        let body = &self.bodies[self.step(number)];
        let head = format!(
            "POST /v1/completions HTTP/1.1\r\nhost: 127.0.0.1\r\nuser-agent: echo-load\r\n\
             content-type: application/json\r\nx-echo-user: user-{user}\r\nx-echo-file: src/table_{file}.rs\r\n\
             content-length: {}\r\n\r\n",
            body.len()
        );
        bytes.clear();
        bytes.extend_from_slice(head.as_bytes());
        bytes.extend_from_slice(body);
    }

    fn step(&self, number: usize) -> usize {
        match self.crowd {
            Crowd::Strangers => number % STEPS,
            Crowd::Typists(users) => number / users % STEPS,
        }
    }
}

/// What the user makes of a proposal.
fn written(behaviour: &Behaviour) -> String {
    if behaviour.text.is_multiple_of(2) {
        behaviour.answer()
    } else {
        format!(".skip({}).take(limit).count();", behaviour.text)
    }
}

/// Requests after which a user begins the next file.
const STEPS: usize = 64;

/// The text around the cursor comes to 4 kB and more, as editors send it.
const PREFIX_BYTES: usize = 3_072;
const SUFFIX_BYTES: usize = 1_024;

#[cfg(test)]
mod tests {
    use super::*;

    const BEHAVIOUR: Behaviour = Behaviour {
        text: 0,
        pieces: 4,
        first_us: 0,
        every_ms: 0,
    };

    fn request(typing: &Typing, number: usize) -> String {
        let mut bytes = Vec::new();
        typing.write(number, &mut bytes);
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn typists_go_on_and_take_every_other_proposal() {
        let typing = Typing::new("m", BEHAVIOUR, false, Crowd::Typists(2));
        let first = typing.behaviour(0).answer();
        assert!(request(&typing, 1).contains("user-1") && !request(&typing, 1).contains(&first));
        let later = request(&typing, 4);
        assert!(later.contains("user-0") && later.contains(&first));
        assert!(
            !later.contains(&typing.behaviour(2).answer()),
            "the second one was not taken"
        );
    }

    #[test]
    fn strangers_come_once() {
        let typing = Typing::new("m", BEHAVIOUR, true, Crowd::Strangers);
        assert!(request(&typing, 41).contains("user-41\r\n"));
    }

    #[test]
    fn the_length_is_that_of_the_body() {
        let text = request(&Typing::new("m", BEHAVIOUR, true, Crowd::Strangers), 0);
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.ends_with(&format!("content-length: {}", body.len())));
        assert!((4_000..7_000).contains(&body.len()), "{}", body.len());
    }
}
