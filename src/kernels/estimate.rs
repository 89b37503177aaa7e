//! Sums of a query over the set bits of a row, one table lookup for each byte of the row.

/// For each byte of a sign code, the sum of the query's values at the set bits, for all 256 values.
#[derive(Clone, Debug)]
pub struct SignTable {
    /// `[bytes, 256]`.
    sums: Vec<[f32; 256]>,
}

impl SignTable {
    /// Returns the table of a query, `[dim]`. Bit `i % 8` of byte `i / 8` of a code belongs to
    /// dimension `i`.
    #[must_use]
    pub fn new(query: &[f32]) -> Self {
        let sums = query.chunks(8).map(|values| {
            let mut table = [0.0f32; 256];
            for byte in 1..256usize {
                let lowest = byte.trailing_zeros() as usize;
                let value = values.get(lowest).copied().unwrap_or(0.0);
                table[byte] = table[byte & (byte - 1)] + value;
            }
            table
        });
        Self { sums: sums.collect() }
    }

    /// Returns the sum of the query's values at the set bits of a code.
    #[must_use]
    pub fn sum(&self, code: &[u8]) -> f32 {
        let mut sums = [0.0f32; 4];
        let (tables, rest_tables) = self.sums.as_chunks::<4>();
        let (codes, rest) = code.as_chunks::<4>();
        for (tables, code) in tables.iter().zip(codes) {
            for (sum, (table, &byte)) in sums.iter_mut().zip(tables.iter().zip(code)) {
                *sum += table[usize::from(byte)];
            }
        }
        let rest = rest_tables.iter().zip(rest).map(|(table, &byte)| table[usize::from(byte)]);
        (sums[0] + sums[1]) + (sums[2] + sums[3]) + rest.sum::<f32>()
    }
}
