//! Sets of rows of a segment.

/// A set of rows, one bit each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bits {
    words: Vec<u64>,
    rows: usize,
}

impl Bits {
    /// Returns the empty set of a segment with this number of rows.
    pub(crate) fn none(rows: usize) -> Self {
        Self { words: vec![0; rows.div_ceil(64)], rows }
    }

    /// Returns the set of the rows for which `contains` is true. It is called in the order of the rows.
    pub(crate) fn new(rows: usize, mut contains: impl FnMut(usize) -> bool) -> Self {
        let word = |first: usize| {
            let last = rows.min(first + 64);
            (first..last).fold(0, |word, row| word | u64::from(contains(row)) << (row - first))
        };
        Self { words: (0..rows).step_by(64).map(word).collect(), rows }
    }

    /// Returns the set of all rows.
    pub(crate) fn all(rows: usize) -> Self {
        let mut bits = Self { words: vec![u64::MAX; rows.div_ceil(64)], rows };
        bits.trim();
        bits
    }

    /// Returns the set that [`to_bytes`](Self::to_bytes) wrote, or none if the length is wrong or a bit
    /// is set beyond the last row.
    pub(crate) fn from_bytes(rows: usize, bytes: &[u8]) -> Option<Self> {
        let (chunks, rest) = bytes.as_chunks::<8>();
        if chunks.len() != rows.div_ceil(64) || !rest.is_empty() {
            return None;
        }
        let bits = Self { words: chunks.iter().map(|c| u64::from_le_bytes(*c)).collect(), rows };
        let mut trimmed = bits.clone();
        trimmed.trim();
        (trimmed == bits).then_some(bits)
    }

    /// Returns one bit for each row, lowest bit first, padded to whole words of 64 bits.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        self.words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    pub(crate) fn insert(&mut self, row: usize) {
        if let Some(word) = self.words.get_mut(row / 64) {
            *word |= 1 << (row % 64);
        }
    }

    pub(crate) fn contains(&self, row: usize) -> bool {
        self.words.get(row / 64).is_some_and(|word| word >> (row % 64) & 1 == 1)
    }

    pub(crate) fn count(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Number of the rows in `start..end` that are in the set.
    pub(crate) fn count_in(&self, start: usize, end: usize) -> usize {
        if start >= end {
            return 0;
        }
        let (first, last) = (start / 64, end.div_ceil(64));
        let words = self.words.get(first..last.min(self.words.len())).unwrap_or_default();
        let all: usize = words.iter().map(|word| word.count_ones() as usize).sum();
        let outside = |word: usize, mask: u64| {
            self.words.get(word).map_or(0, |word| (word & mask).count_ones() as usize)
        };
        let before = outside(first, (1 << (start % 64)) - 1);
        let after =
            if end.is_multiple_of(64) { 0 } else { outside(end / 64, u64::MAX << (end % 64)) };
        all - before - after
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = usize> {
        self.words.iter().enumerate().flat_map(|(index, &word)| {
            let mut rest = word;
            std::iter::from_fn(move || {
                let bit = rest.trailing_zeros() as usize;
                rest &= rest.checked_sub(1)?;
                Some(index * 64 + bit)
            })
        })
    }

    pub(crate) fn and(&mut self, other: &Self) {
        self.words.iter_mut().zip(&other.words).for_each(|(a, b)| *a &= b);
    }

    pub(crate) fn or(&mut self, other: &Self) {
        self.words.iter_mut().zip(&other.words).for_each(|(a, b)| *a |= b);
    }

    pub(crate) fn not(mut self) -> Self {
        self.words.iter_mut().for_each(|word| *word = !*word);
        self.trim();
        self
    }

    fn trim(&mut self) {
        if let (Some(last), rest @ 1..) = (self.words.last_mut(), self.rows % 64) {
            *last &= (1 << rest) - 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn sets_agree_with_a_list_of_booleans(
            a in proptest::collection::vec(any::<bool>(), 0..200),
            seed in any::<u64>(), range in (0usize..200, 0usize..200),
        ) {
            let rows = a.len();
            let b: Vec<bool> = (0..rows).map(|i| seed.rotate_left(i as u32 % 61) & 1 == 1).collect();
            let of = |list: &[bool]| {
                let mut bits = Bits::none(rows);
                (0..rows).filter(|&row| list[row]).for_each(|row| bits.insert(row));
                bits
            };
            let (x, y) = (of(&a), of(&b));
            prop_assert_eq!(x.count(), a.iter().filter(|set| **set).count());
            let (mut both, mut either) = (x.clone(), x.clone());
            both.and(&y);
            either.or(&y);
            let not = x.clone().not();
            for row in 0..rows {
                prop_assert_eq!(both.contains(row), a[row] && b[row]);
                prop_assert_eq!(either.contains(row), a[row] || b[row]);
                prop_assert_eq!(not.contains(row), !a[row]);
            }
            let listed: Vec<usize> = x.iter().collect();
            prop_assert_eq!(listed, (0..rows).filter(|&row| a[row]).collect::<Vec<_>>());
            let (start, end) = (range.0.min(range.1).min(rows), range.0.max(range.1).min(rows));
            let in_range = a[start..end].iter().filter(|set| **set).count();
            prop_assert_eq!(x.count_in(start, end), in_range);
            prop_assert_eq!(Bits::from_bytes(rows, &x.to_bytes()), Some(x));
        }
    }

    #[test]
    fn bytes_of_another_length_or_with_extra_bits_are_refused() {
        assert_eq!(Bits::from_bytes(65, &[0; 8]), None);
        assert_eq!(Bits::from_bytes(3, &[0b1000, 0, 0, 0, 0, 0, 0, 0]), None);
        assert_eq!(Bits::from_bytes(3, &[0b111, 0, 0, 0, 0, 0, 0, 0]), Some(Bits::all(3)));
    }
}
