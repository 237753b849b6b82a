/// How many bytes agree from the start on.
pub(crate) fn agreeing(a: &[u8], b: &[u8]) -> usize {
    let words = a.chunks_exact(WORD).zip(b.chunks_exact(WORD));
    let whole = words.take_while(|(a, b)| a == b).count() * WORD;
    let rest = a[whole..].iter().zip(&b[whole..]);
    whole + rest.take_while(|(a, b)| a == b).count()
}

/// How many bytes agree from the end on.
pub(crate) fn agreeing_back(a: &[u8], b: &[u8]) -> usize {
    let words = a.rchunks_exact(WORD).zip(b.rchunks_exact(WORD));
    let whole = words.take_while(|(a, b)| a == b).count() * WORD;
    let rest = a[..a.len() - whole]
        .iter()
        .rev()
        .zip(b[..b.len() - whole].iter().rev());
    whole + rest.take_while(|(a, b)| a == b).count()
}

/// Bytes compared at once.
const WORD: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn many_bytes_at_once_tell_what_single_ones_do(both in "[ab]{0,80}", a in "[ab]{0,40}", b in "[ab]{0,40}") {
            let single = |a: &[u8], b: &[u8]| a.iter().zip(b).take_while(|(a, b)| a == b).count();
            let (x, y) = (format!("{both}{a}"), format!("{both}{b}"));
            prop_assert_eq!(agreeing(x.as_bytes(), y.as_bytes()), single(x.as_bytes(), y.as_bytes()));
            let (x, y) = (format!("{a}{both}"), format!("{b}{both}"));
            let back = |text: &str| text.bytes().rev().collect::<Vec<u8>>();
            prop_assert_eq!(agreeing_back(x.as_bytes(), y.as_bytes()), single(&back(&x), &back(&y)));
        }
    }
}
