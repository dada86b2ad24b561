//! "Did you mean": which of some words is nearest to one that was mistyped.
//!
//! Invariant: at most a third of the letters differ. Limit: short words; a long one is near to none.

/// "Did you mean": the one of `words` that is fewest changes away from `typed`, if that is few enough to be a slip of the fingers:
/// at most a third of the letters, of 32 at most.
#[must_use]
pub fn nearest<'a>(typed: &str, words: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    const LONGEST: usize = 32;
    let typed: Vec<char> = typed.chars().take(LONGEST + 1).flat_map(char::to_lowercase).collect();
    if typed.len() > LONGEST {
        return None;
    }
    words
        .into_iter()
        .map(|word| (distance(&typed, word), word))
        .filter(|(changes, word)| *changes <= word.len().max(typed.len()).div_ceil(3))
        .min_by_key(|(changes, _)| *changes)
        .map(|(_, word)| word)
}

/// How many letters have to be changed, added, taken away, or exchanged with their neighbour.
fn distance(a: &[char], b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for (i, row) in rows.iter_mut().enumerate() {
        row[0] = i;
    }
    for (j, cell) in rows[0].iter_mut().enumerate() {
        *cell = j;
    }
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            let changed = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut least = changed.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = least;
        }
    }
    rows[a.len()][b.len()]
}
