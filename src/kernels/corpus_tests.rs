//! Every instruction set gives the products of the definition.

use proptest::prelude::*;

use super::*;

fn sets() -> Vec<Kernels> {
    InstructionSet::ALL.into_iter().filter_map(Kernels::of).collect()
}

/// A function that returns another number at each call: xorshift with 64 bits.
fn random(seed: u64) -> impl FnMut() -> u64 {
    let mut state = seed | 1;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    }
}

/// The pairs of the definition, from the quantized rows in double precision.
fn reachable(
    codes: &[Vec<i8>],
    scales: &[f32],
    errors: &[f32],
    least: f32,
) -> Vec<(u32, u32, f64)> {
    let mut found = Vec::new();
    for a in 0..codes.len() {
        for b in a + 1..codes.len() {
            let sum: i64 =
                codes[a].iter().zip(&codes[b]).map(|(&x, &y)| i64::from(x) * i64::from(y)).sum();
            let (e, f) = (f64::from(errors[a]), f64::from(errors[b]));
            let most = sum as f64 * f64::from(scales[a]) * f64::from(scales[b]) + e + f + e * f;
            found.push((a as u32, b as u32, most - f64::from(least)));
        }
    }
    found
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn different_bits_of_rows_of_every_length_are_counted(
        words in prop_oneof![Just(6usize), Just(12), Just(16), Just(24), 0usize..30],
        rows in 0usize..300, seed in any::<u64>(),
    ) {
        let mut next = random(seed);
        let query: Vec<u64> = (0..words).map(|_| next()).collect();
        let mut signs: Vec<u64> = (0..words * rows).map(|_| next()).collect();
        // A row may have no different bit, or no equal one.
        for row in signs.chunks_exact_mut(words.max(1)).step_by(7) {
            let flip = if next() & 1 == 0 { 0 } else { u64::MAX };
            row.iter_mut().zip(&query).for_each(|(word, query)| *word = query ^ flip);
        }
        let row = |row: usize| query.iter().zip(&signs[row * words..]);
        let expected: Vec<u16> =
            (0..rows).map(|r| row(r).map(|(a, b)| (a ^ b).count_ones() as u16).sum()).collect();
        for kernels in sets() {
            let mut bits = vec![u16::MAX; rows];
            kernels.hamming(&query, &signs, &mut bits).unwrap();
            prop_assert_eq!(&bits, &expected, "{:?}", kernels);
        }
    }

    #[test]
    fn scans_agree_with_the_definition(
        dim in 1usize..200, rows in 0usize..20, seed in any::<u64>(),
    ) {
        let mut next = random(seed);
        let query: Vec<f32> = (0..dim).map(|_| (next() >> 40) as f32 / 1e7 - 0.8).collect();
        let values: Vec<f32> = (0..dim * rows).map(|_| (next() >> 40) as f32 / 1e7 - 0.8).collect();
        let wide: Vec<i16> = (0..2 * dim).map(|_| (next() % 4_095) as i16 - 2_047).collect();
        let narrow: Vec<i8> = (0..2 * dim).map(|_| next() as i8).collect();
        let upper: Vec<u8> = (0..dim * rows).map(|_| next() as u8).collect();
        let lower: Vec<u8> = (0..dim * rows).map(|_| next() as u8).collect();
        let words = dim.div_ceil(64);
        let sign_query: Vec<u64> = (0..words).map(|_| next()).collect();
        let signs: Vec<u64> = (0..words * rows).map(|_| next()).collect();
        for kernels in sets() {
            let mut dots = vec![f32::NAN; rows];
            kernels.dots(&query, &values, &mut dots).unwrap();
            let mut sums = vec![0; rows];
            kernels.half_dots(&narrow, &upper, &mut sums).unwrap();
            let mut bits = vec![0; rows];
            kernels.hamming(&sign_query, &signs, &mut bits).unwrap();
            for row in 0..rows {
                let products = query.iter().zip(&values[row * dim..]);
                let exact: f64 = products.map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
                prop_assert!((f64::from(dots[row]) - exact).abs() < 1e-4, "{kernels:?}");
                let mut alone = [f32::NAN];
                kernels.dots(&query, &values[row * dim..][..dim], &mut alone).unwrap();
                prop_assert_eq!(alone[0].to_bits(), dots[row].to_bits(), "{:?}", kernels);
                let (upper, lower) = (&upper[row * dim..][..dim], &lower[row * dim..][..dim]);
                let halves = |bytes: &[u8]| -> Vec<i64> {
                    let second = bytes.iter().map(|byte| i64::from(byte >> 4));
                    bytes.iter().map(|byte| i64::from(byte & 15)).chain(second).collect()
                };
                let (upper_halves, lower_halves) = (halves(upper), halves(lower));
                let products = narrow.iter().zip(&upper_halves);
                let exact: i64 = products.map(|(&a, &b)| i64::from(a) * b).sum();
                prop_assert_eq!(i64::from(sums[row]), exact, "{:?}", kernels);
                let sum = kernels.code_dot(&wide, upper, lower).unwrap();
                let codes = upper_halves.iter().zip(&lower_halves).map(|(u, l)| 16 * u + l - 128);
                let exact: i64 = wide.iter().zip(codes).map(|(&a, b)| i64::from(a) * b).sum();
                prop_assert_eq!(i64::from(sum), exact, "{:?}", kernels);
                let different = sign_query.iter().zip(&signs[row * words..]);
                let exact: u32 = different.map(|(a, b)| (a ^ b).count_ones()).sum();
                prop_assert_eq!(u32::from(bits[row]), exact, "{:?}", kernels);
            }
        }
        // Some rows, in any order, and more than once.
        let numbers: Vec<u32> =
            if rows == 0 { Vec::new() } else { (0..30).map(|_| next() as u32 % rows as u32).collect() };
        let query: Vec<[i8; 64]> = (0..words).map(|_| std::array::from_fn(|_| next() as i8)).collect();
        for kernels in sets() {
            let mut sums = vec![i32::MAX; numbers.len()];
            kernels.sign_sums(&query, &signs, &numbers, &mut sums).unwrap();
            for (&number, &sum) in numbers.iter().zip(&sums) {
                let code = signs[number as usize * words..].iter().flat_map(|word| {
                    (0..64).map(move |bit| (word >> bit & 1) as i32)
                });
                let values = query.as_flattened().iter().map(|&value| i32::from(value));
                let expected: i32 = code.zip(values).map(|(bit, value)| bit * value).sum();
                prop_assert_eq!(sum, expected, "{:?}", kernels);
            }
            let distances: Vec<u16> = (0..dim).map(|_| next() as u16 % 100).collect();
            let mut near = vec![u32::MAX];
            kernels.near(&distances, 50, &mut near);
            let expected = (0..).zip(&distances).filter(|(_, bits)| **bits <= 50).map(|(row, _)| row);
            prop_assert_eq!(near, std::iter::once(u32::MAX).chain(expected).collect::<Vec<_>>());
            let missing = kernels.sign_sums(&query, &signs, &[rows as u32], &mut [0]);
            prop_assert!(missing.is_err());
        }
    }

    #[test]
    fn pairs_agree_with_the_definition(
        dim in 1usize..90, rows in 1usize..50, seed in any::<u64>(), least in -1.0f32..1.0,
    ) {
        let mut next = random(seed);
        for kernels in sets() {
            let steps = u64::from(kernels.pair_steps().unsigned_abs());
            // The largest values too: their sums must not saturate.
            let codes: Vec<Vec<i8>> = (0..rows).map(|row| (0..dim).map(|_| match row % 3 {
                0 => kernels.pair_steps(),
                1 => -kernels.pair_steps(),
                _ => ((next() % (2 * steps + 1)) as i16 - steps as i16) as i8,
            }).collect()).collect();
            let width = dim.next_multiple_of(4);
            let padded = rows.next_multiple_of(PAIR_PANEL);
            let (mut scales, mut errors) = (vec![0.0; padded], vec![f32::NEG_INFINITY; padded]);
            let (mut sums, mut panels) = (vec![0; padded], vec![0i8; padded * width]);
            for (row, codes) in codes.iter().enumerate() {
                scales[row] = 1.0 / (steps as f32 * (dim as f32).sqrt());
                errors[row] = (next() % 100) as f32 / 1_000.0;
                sums[row] = codes.iter().map(|&code| i32::from(code)).sum();
                for (i, &code) in codes.iter().enumerate() {
                    let panel = row / PAIR_PANEL * pair_panel_bytes(dim);
                    panels[panel + i / 4 * 64 + row % PAIR_PANEL * 4 + i % 4] = code;
                }
            }
            let columns =
                PairColumns { panels: &panels, scales: &scales, errors: &errors, sums: &sums };
            let mut hits = Vec::new();
            let mut block = PairRows::default();
            for start in (0..rows).step_by(PAIR_PANEL) {
                block.fill(kernels, &panels, dim, start..(start + PAIR_PANEL).min(rows));
                let all = start / PAIR_PANEL..padded / PAIR_PANEL;
                kernels.pairs(&block, columns, all, least, &mut hits).unwrap();
            }
            for (a, b, margin) in reachable(&codes, &scales, &errors, least) {
                // At the limit itself, rounding decides.
                if margin.abs() > 1e-5 {
                    prop_assert_eq!(hits.contains(&(a, b)), margin > 0.0, "{:?} {} {}", kernels, a, b);
                }
            }
            prop_assert!(hits.iter().all(|(a, b)| a < b && (*b as usize) < rows));
        }
    }
}
