use super::evaluation::ForeignEvaluation;
use super::layout::{Layout, Logged};
use super::model::PredictionSource;
use crate::drift::Drift;

/// Mean weights further than this many standard errors from 1 call for a note.
const MEAN_WEIGHT_Z: f64 = 4.0;

/// What a reader must know to judge the figures.
pub(super) fn notes(
    evaluation: &ForeignEvaluation,
    layout: &Layout,
    predictions: PredictionSource,
) -> Vec<String> {
    let mut notes = Vec::new();
    if matches!(layout.logged, Logged::Served(_)) {
        notes.push(
            "Only the probability of the arm served is known: whether the log could have served every arm that the \
             target asks for cannot be checked, but by the mean weight, which is 1 if it could."
                .to_owned(),
        );
    }
    if matches!(layout.logged, Logged::Unknown) {
        notes.push(
            "The logged probabilities are not known. Weights are the odds that a context and an arm are the target's and not \
             the log's, by a logistic regression: right only if the features hold all that the arms were chosen by."
                .to_owned(),
        );
    }
    let weights = &evaluation.weights;
    if weights.mean_z.is_some_and(|z| z.abs() > MEAN_WEIGHT_Z) {
        notes.push(format!(
            "The mean importance weight is {:.3}, too far from 1 for chance: the logged probabilities are not those \
             that the log was drawn with, or it could not have served what the target asks for.",
            weights.mean
        ));
    }
    if predictions.folds() == 1
        && !matches!(
            predictions,
            PredictionSource::Columns | PredictionSource::None
        )
    {
        notes.push(
            "Each row helped to predict itself (folds=1): the doubly robust values are a little too sure.".to_owned(),
        );
    }
    notes.extend(evaluation.drift.iter().flat_map(Drift::notes));
    if evaluation.estimate("replay").is_some() {
        notes.push(
            "`replay` holds only if the log was drawn uniformly; compare it with `snips`, which knows how it was \
             drawn."
                .to_owned(),
        );
    }
    notes
}
