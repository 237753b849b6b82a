//! One completion request, whatever dialect it came by.

/// What a client asks for, decoded from its dialect: the text on both sides of the cursor and the
/// limits of the answer.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CompletionRequest {
    /// The model as the client named it: an arm's name, or `echo` for the routed one.
    pub model: String,
    /// Text before the cursor.
    pub prefix: String,
    /// Text after the cursor; empty when the client sent none.
    pub suffix: String,
    /// What stood before the fill-in part of a template: snippets, a repository's name.
    pub header_context: String,
    /// Language of the file, where the client said it or the file name tells.
    pub language: Option<String>,
    /// Name of the file, where the client said it.
    pub file: Option<String>,
    /// The kind of client, where the text itself tells it.
    pub client: Option<&'static str>,
    /// The user as the client named him.
    pub user: Option<String>,
    /// Upper bound of the answer, in tokens.
    pub max_tokens: u32,
    /// Sampling temperature, at least 0.
    pub temperature: Option<f64>,
    /// Nucleus of sampling, in (0, 1].
    pub top_p: Option<f64>,
    /// Seed of the upstream's sampling.
    pub seed: Option<u64>,
    /// Texts that end the answer and are no part of it; at most four.
    pub stop: Vec<String>,
    /// How many alternatives are asked for, at least 1.
    pub n: u32,
    /// Whether the answer is to be streamed.
    pub stream: bool,
    /// What parts the texts of an answer that its client takes for several, if there is such a mark.
    pub parted_by: Option<&'static str>,
    /// Whether the editor asks ahead of the user, as if he had taken a proposal that he may not have
    /// seen yet.
    pub speculative: bool,
}
