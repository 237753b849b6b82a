use pulp::{Arch, NullaryFnOnce};

/// Runs a piece of arithmetic with the widest instructions that this machine has.
///
/// The compiler orders and contracts nothing anew, so that results are the same bits on every machine; where a product and a
/// sum are to be one step, the text says `mul_add`, which is one step everywhere. The work must be
/// inlined as a whole: what is called by a call of its own has the instructions that every machine has.
pub(crate) fn widest<W: Work>(work: W) -> W::Output {
    Arch::new().dispatch(Piece(work))
}

/// A piece of arithmetic.
pub(crate) trait Work {
    /// What comes of it.
    type Output;

    /// Does it; to be marked `#[inline(always)]`.
    fn run(self) -> Self::Output;
}

struct Piece<W>(W);

impl<W: Work> NullaryFnOnce for Piece<W> {
    type Output = W::Output;

    #[expect(
        clippy::inline_always,
        reason = "else it has not the instructions of its caller"
    )]
    #[inline(always)]
    fn call(self) -> W::Output {
        self.0.run()
    }
}
