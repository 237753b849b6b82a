//! Who asks, from where, and with what.

use std::net::IpAddr;

use axum::http::{HeaderMap, Uri, header};

use crate::auth::{Caller, Keys};
use crate::dialect::ApiError;
use crate::language;
use crate::request::CompletionRequest;
use crate::watch::UserKey;

/// The address that a connection comes from.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub IpAddr);

/// Everything that a request's headers and connection tell of its sender.
#[derive(Debug, Clone)]
pub struct Identity {
    caller: Caller,
    peer: Option<IpAddr>,
    named: Option<String>,
    /// The kind of editor, from its user agent: one of a small set of words, or the agent's first word.
    client: String,
    /// The kind of editor more closely, where the path tells which of its providers asks.
    provider: Option<&'static str>,
}

impl Identity {
    /// Reads the headers, and turns a caller without a valid key away where keys are asked for.
    ///
    /// # Errors
    ///
    /// 401 without a valid key, 400 for two different ones.
    pub fn of(
        uri: &Uri,
        headers: &HeaderMap,
        peer: Option<Peer>,
        keys: &Keys,
    ) -> Result<Self, ApiError> {
        let client = client_kind(text(headers, header::USER_AGENT.as_str()).unwrap_or_default());
        let caller = keys.caller(
            text(headers, header::AUTHORIZATION.as_str()),
            text(headers, "x-api-key"),
        )?;
        Ok(Self {
            caller,
            peer: peer.map(|peer| peer.0),
            named: text(headers, "x-echo-user").map(bounded),
            provider: provider(&client, uri.path()),
            client,
        })
    }

    /// The tenant of the caller's key.
    pub fn tenant(&self) -> &str {
        &self.caller.tenant
    }

    /// The kind of editor behind a request: as the text itself tells, or else by its user agent and the path.
    pub fn client_of<'a>(&'a self, request: &CompletionRequest) -> &'a str {
        request.client.or(self.provider).unwrap_or(&self.client)
    }

    /// The user behind a request: as the header or the request names him, or else by his key, or else
    /// by the address and the kind of editor.
    pub fn user(&self, request: &CompletionRequest) -> UserKey {
        let named = self
            .named
            .clone()
            .or_else(|| request.user.as_deref().map(bounded));
        let user = named.unwrap_or_else(|| match (&self.caller.name, self.peer) {
            (name, _) if !name.is_empty() => name.clone(),
            (_, Some(peer)) => format!("{peer}/{}", self.client),
            (_, None) => self.client.clone(),
        });
        UserKey {
            tenant: self.caller.tenant.clone(),
            user,
        }
    }

    /// Adds what headers say of file and language to a request whose body does not.
    pub fn complete(&self, request: &mut CompletionRequest, headers: &HeaderMap) {
        if let Some(file) = text(headers, "x-echo-file") {
            request.file = Some(bounded(file));
        }
        if let Some(name) = text(headers, "x-echo-language") {
            request.language = Some(bounded(name).to_lowercase());
        }
        language::by_file(request);
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers
        .get(name)?
        .to_str()
        .ok()
        .map(str::trim)
        .filter(|text| !text.is_empty())
}

/// A name of bounded length: it is kept in memory and in the log.
fn bounded(name: &str) -> String {
    name.chars().take(NAME_CHARS).collect()
}

const NAME_CHARS: usize = 256;

/// Characters of an unknown agent's name that are kept.
const AGENT_CHARS: usize = 32;

fn client_kind(agent: &str) -> String {
    let known = [
        ("tabby-agent", "tabby"),
        ("llm-ls", "llm-ls"),
        ("node-fetch", "continue"),
        ("Zed", "zed"),
        ("OpenAI/Python", "openai-python"),
        ("curl", "curl"),
    ];
    if let Some((_, kind)) = known.iter().find(|(mark, _)| agent.contains(mark)) {
        return (*kind).to_owned();
    }
    let word = agent.split(['/', ' ']).next().unwrap_or_default();
    word.chars()
        .filter(char::is_ascii_graphic)
        .take(AGENT_CHARS)
        .collect()
}

/// Zed's provider for Mistral's protocol waits longer and sends less than its others.
fn provider(client: &str, path: &str) -> Option<&'static str> {
    (client == "zed" && path.ends_with("/fim/completions")).then_some("zed-codestral")
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn identity(headers: &[(&'static str, &'static str)]) -> Identity {
        let headers = headers.iter().map(|(name, value)| {
            (
                axum::http::HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )
        });
        let peer = Some(Peer([127, 0, 0, 1].into()));
        let uri = Uri::from_static("/v1/fim/completions");
        Identity::of(&uri, &headers.collect(), peer, &Keys::default()).unwrap()
    }

    #[test]
    fn tells_users_apart_by_the_best_sign() {
        let request = CompletionRequest {
            user: Some("bob".to_owned()),
            ..CompletionRequest::default()
        };
        let nameless = CompletionRequest::default();
        assert_eq!(
            identity(&[("x-echo-user", "alice")]).user(&request).user,
            "alice"
        );
        assert_eq!(identity(&[]).user(&request).user, "bob");
        let keyed = identity(&[("authorization", "Bearer k")])
            .user(&nameless)
            .user;
        assert!(
            !keyed.contains('k') || keyed.len() == 12,
            "a digest stands for the token"
        );
        assert_eq!(
            identity(&[("user-agent", "curl/8.1")]).user(&nameless).user,
            "127.0.0.1/curl"
        );
    }

    #[test]
    fn a_path_tells_the_provider_and_no_other_user() {
        let request = CompletionRequest::default();
        let zed = identity(&[("user-agent", "Zed/0.200.1")]);
        assert_eq!(zed.client_of(&request), "zed-codestral");
        assert_eq!(zed.user(&request).user, "127.0.0.1/zed");
        assert_eq!(provider("zed", "/v1/completions"), None);
        assert_eq!(
            identity(&[("user-agent", "minuet/1")]).client_of(&request),
            "minuet"
        );
    }

    #[test]
    fn knows_editors_by_their_agents() {
        let cases = [
            ("Node.js/v20 tabby-agent/1.9.0-dev VSCode/1.99.0", "tabby"),
            ("OpenAI/Python 2.8.1", "openai-python"),
            ("node-fetch", "continue"),
            ("minuet/0.1 x", "minuet"),
            ("", ""),
        ];
        for (agent, kind) in cases {
            assert_eq!(client_kind(agent), kind, "{agent:?}");
        }
    }
}
