/// Lepski's rule over estimates of one value whose bias falls as their width grows: the narrowest whose distance to
/// every wider one is within what their widths allow. Returns its index.
///
/// `estimates` are values with their widths. Source: Su, Srinath, Krishnamurthy (2020), "Adaptive estimator selection
/// for off-policy evaluation", with the constant of Tucker and Lee (2021), "Improved estimator selection for
/// off-policy evaluation": |`theta_i` - `theta_j`| <= `c_i` + (sqrt 6 - 1) `c_j` for every wider j.
pub(crate) fn narrowest(estimates: &[(f64, f64)]) -> Option<usize> {
    let mut order: Vec<usize> = (0..estimates.len()).collect();
    order.sort_by(|a, b| estimates[*b].1.total_cmp(&estimates[*a].1));
    let mut chosen = *order.first()?;
    for (at, &i) in order.iter().enumerate().skip(1) {
        let (value, width) = estimates[i];
        let is_far = |&j: &usize| {
            let (wider, wide) = estimates[j];
            (value - wider).abs() > width + (6.0_f64.sqrt() - 1.0) * wide
        };
        if order[..at].iter().any(is_far) {
            break;
        }
        chosen = i;
    }
    Some(chosen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bias_beyond_the_widths_stops_the_choice() {
        assert_eq!(narrowest(&[]), None);
        assert_eq!(narrowest(&[(0.5, 0.3), (0.52, 0.1), (0.51, 0.02)]), Some(2));
        assert_eq!(narrowest(&[(0.9, 0.01), (0.5, 0.1), (0.5, 0.2)]), Some(1));
    }
}
