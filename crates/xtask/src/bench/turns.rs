//! In which order contenders take their turns.

/// The order of a round, in which each of so many contenders has its turn.
///
/// Over as many rounds as there are contenders, or twice as many where their number is odd, each comes equally often right
/// after each of the others: for what one leaves behind in the machine's caches, in the database, on the disk. (A list that is
/// only rotated has each come after the same one for ever.) E. J. Williams, 1949: designs balanced for residual effects.
pub(super) fn order(contenders: usize, round: usize) -> Vec<usize> {
    // 0, 1, n - 1, 2, n - 2, …: each step between neighbours is another one, modulo n, where n is even. Where it is odd each
    // comes twice and its opposite never, which the same order backwards makes good.
    let odd = contenders % 2;
    let (row, backwards) = if odd == 1 { (round / 2, round % 2 == 1) } else { (round, false) };
    let zigzag = (0..contenders).map(|at| if at % 2 == 1 { at.div_ceil(2) } else { contenders - at / 2 });
    let mut order: Vec<usize> = zigzag.map(|contender| (contender + row) % contenders).collect();
    if backwards {
        order.reverse();
    }
    order
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::order;

    #[test]
    fn each_comes_equally_often_after_each_of_the_others() {
        for contenders in 2..=10 {
            let (rounds, times) = if contenders % 2 == 1 { (2 * contenders, 2) } else { (contenders, 1) };
            let mut seen: BTreeMap<(usize, usize), usize> = BTreeMap::new();
            for round in 0..rounds {
                let order = order(contenders, round);
                assert_eq!(order.iter().copied().collect::<std::collections::BTreeSet<_>>(), (0..contenders).collect());
                for pair in order.windows(2) {
                    *seen.entry((pair[0], pair[1])).or_default() += 1;
                }
            }
            assert_eq!(seen.len(), contenders * (contenders - 1), "{contenders} contenders: {seen:?}");
            assert!(seen.values().all(|count| *count == times), "{contenders} contenders: {seen:?}");
        }
    }
}
