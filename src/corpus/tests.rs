//! Tests of the index as a whole: what was written is found, after every change and every crash.

use std::collections::BTreeMap;
use std::fs;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;

use super::segment::RowStep;
use super::*;
use crate::bundle::map::request;
use crate::kernels::{InstructionSet, Kernels};

pub(super) const DIM: usize = 72;

pub(super) fn source() -> VectorSource {
    VectorSource {
        bundle_digest: "a".repeat(64),
        model_name: "tiny".to_owned(),
        dimensions: DIM,
        prompt_name: None,
        precision: VectorPrecision::F32,
    }
}

/// A seeded unit vector near one of 30 directions, so that there are near rows and far ones.
pub(super) fn vector(seed: u64) -> Vec<f32> {
    let mut state = 0;
    let mut next = |seed: u64| {
        state = 0x9e37_79b9_7f4a_7c15u64.wrapping_mul(seed | 1).wrapping_add(state);
        let mut z: u64 = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 40) as f32 / 8_388_608.0 - 1.0
    };
    let direction = seed % 30 + 1_000_000;
    let mut row: Vec<f32> = (0..DIM).map(|_| next(2 * direction)).collect();
    row.iter_mut().for_each(|x| *x = *x * 0.7 + next(2 * seed + 1));
    let norm = row.iter().map(|x| x * x).sum::<f32>().sqrt();
    row.iter_mut().for_each(|x| *x /= norm);
    row
}

fn row(number: u64) -> Row {
    let mut metadata = vec![
        ("color".to_owned(), Value::Text(["red", "green", "blue"][number as usize % 3].to_owned())),
        ("year".to_owned(), Value::Integer(1990 + number as i64 % 40)),
    ];
    if number.is_multiple_of(5) {
        metadata.push(("price".to_owned(), Value::Number(number as f64 / 4.0 + 0.1)));
    }
    Row { id: format!("row-{number}"), text: format!("text number {number}"), metadata }
}

fn options() -> WriterOptions {
    // Random rows have no structure, so recall is not the subject here.
    WriterOptions { segment_rows: 400, min_recall: 0.0, ..WriterOptions::default() }
}

fn push(writer: &mut Writer, numbers: impl Iterator<Item = u64>) {
    for number in numbers {
        let on_duplicate = OnDuplicate::Refuse;
        writer.push(&row(number), number + 1, &vector(number), on_duplicate).unwrap().unwrap();
    }
}

pub(super) fn build(folder: &Path, rows: u64) -> Index {
    let mut writer = Writer::create(folder, source(), options()).unwrap();
    push(&mut writer, 0..rows);
    writer.publish().unwrap();
    Index::open(folder).unwrap()
}

/// The live rows by id.
fn content(folder: &Path) -> BTreeMap<String, (Row, Vec<f32>)> {
    let index = Index::open(folder).unwrap();
    let verified = index.verify(|_| {}).unwrap();
    let rows: BTreeMap<_, _> =
        index.rows().map(|row| row.unwrap()).map(|(row, v)| (row.id.clone(), (row, v))).collect();
    assert_eq!((verified.rows, index.len()), (rows.len(), rows.len()));
    rows
}

fn expected(numbers: impl Iterator<Item = u64>) -> BTreeMap<String, (Row, Vec<f32>)> {
    let sorted = |number| {
        let mut row = row(number);
        row.metadata.sort_by(|a, b| a.0.cmp(&b.0));
        row
    };
    numbers.map(|number| (row(number).id, (sorted(number), vector(number)))).collect()
}

/// The ids of the best rows that pass a test, by sorting all scores.
fn best(numbers: impl Iterator<Item = u64>, query: &[f32], top_k: usize) -> Vec<String> {
    let score = |number: u64| {
        vector(number).iter().zip(query).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>()
    };
    let mut scored: Vec<(f64, u64)> = numbers.map(|number| (score(number), number)).collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0));
    scored.into_iter().take(top_k).map(|(_, number)| row(number).id).collect()
}

fn ids(hits: &[Hit]) -> Vec<String> {
    hits.iter().map(|hit| hit.row.id.clone()).collect()
}

pub(super) fn column(name: &str, test: Test) -> Filter {
    Filter::Column { name: name.to_owned(), test }
}

#[test]
fn what_was_written_is_read() {
    let root = TempDir::new().unwrap();
    let folder = root.path().join("index");
    let index = build(&folder, 1_000);
    assert_eq!(index.manifest().segments.len(), 3);
    assert_eq!(index.columns(), ["color", "price", "year"]);
    assert_eq!(content(&folder), expected(0..1_000));
}

#[test]
fn an_exact_search_finds_what_sorting_all_scores_finds() {
    let root = TempDir::new().unwrap();
    let index = build(root.path(), 3_000);
    let queries: Vec<Vec<f32>> = (5_000..5_020).map(vector).collect();
    let options = SearchOptions { top_k: 25, exact: true, ..SearchOptions::default() };
    for set in InstructionSet::ALL.into_iter().filter_map(Kernels::of) {
        let mut index = index.clone();
        index.kernels = set;
        let output = index.search(&queries, &options).unwrap();
        assert_eq!((output.exact, output.searched), (true, 3_000));
        for (query, hits) in queries.iter().zip(&output.hits) {
            assert_eq!(ids(hits), best(0..3_000, query, 25), "{set:?}");
        }
    }
}

// The scores of some models are all high. So are the scores of these rows.
#[test]
fn an_approximate_search_finds_rows_that_are_all_near_each_other() {
    let common = vector(999_999);
    let near = |seed: u64| {
        let sum = vector(seed).iter().zip(&common).map(|(x, c)| x + 2.0 * c).collect::<Vec<_>>();
        let norm = sum.iter().map(|x| x * x).sum::<f32>().sqrt();
        sum.iter().map(|x| x / norm).collect::<Vec<_>>()
    };
    let root = TempDir::new().unwrap();
    let options = WriterOptions { min_recall: 0.0, ..WriterOptions::default() };
    let mut writer = Writer::create(root.path(), source(), options).unwrap();
    for number in 0..6_000 {
        let on_duplicate = OnDuplicate::Refuse;
        writer.push(&row(number), number + 1, &near(number), on_duplicate).unwrap().unwrap();
    }
    writer.publish().unwrap();
    let index = Index::open(root.path()).unwrap();
    let queries: Vec<Vec<f32>> = (0..50).map(|number| near(70_000 + number)).collect();
    let search = |exact| {
        let options = SearchOptions { exact, exact_rows: 0, ..SearchOptions::default() };
        index.search(&queries, &options).unwrap().hits
    };
    let pairs = search(true).into_iter().zip(search(false));
    let common: usize = pairs
        .map(|(exact, found)| {
            let found = ids(&found);
            ids(&exact).iter().filter(|id| found.contains(id)).count()
        })
        .sum();
    assert!(common >= 475, "{common} of 500 rows");
}

#[test]
fn filters_select_rows_before_the_search() {
    let root = TempDir::new().unwrap();
    let mut index = build(root.path(), 2_000);
    let text = |text: &str| Value::Text(text.to_owned());
    type Expected = fn(u64) -> bool;
    let cases: [(Filter, Expected); 9] = [
        (column("color", Test::In(vec![text("red")])), |n| n % 3 == 0),
        (column("color", Test::In(vec![text("red"), text("blue")])), |n| n % 3 != 1),
        (column("year", Test::AtLeast(Value::Integer(2_010))), |n| n % 40 >= 20),
        (column("year", Test::Less(Value::Number(1_990.5))), |n| n % 40 == 0),
        (column("year", Test::In(vec![Value::Number(1_991.0)])), |n| n % 40 == 1),
        (column("price", Test::In(vec![Value::Null])), |n| n % 5 != 0),
        (column("price", Test::Greater(Value::Integer(100))), |n| n % 5 == 0 && n >= 400),
        (
            Filter::Not(Box::new(Filter::Any(vec![
                column("color", Test::In(vec![text("red")])),
                column("year", Test::AtMost(Value::Integer(2_000))),
            ]))),
            |n| n % 3 != 0 && n % 40 > 10,
        ),
        (column("color", Test::Greater(Value::Integer(0))), |_| false),
    ];
    for exact in [true, false] {
        for (filter, passes) in &cases {
            let query = vector(77_777);
            let filter = Some(filter.clone());
            let options = SearchOptions { filter, exact, exact_rows: 0, ..Default::default() };
            let output = index.search(&[&query], &options).unwrap();
            let passing: Vec<u64> = (0..2_000).filter(|&n| passes(n)).collect();
            assert_eq!(output.searched, passing.len());
            // Nearly all rows that pass are candidates, so the approximate search finds most of the best.
            let wanted = best(passing.into_iter(), &query, 10);
            let found = ids(&output.hits[0]);
            let common = found.iter().filter(|id| wanted.contains(id)).count();
            assert!(common >= wanted.len() * 9 / 10, "{options:?}: {found:?} {wanted:?}");
            assert_eq!(output.exact, exact || wanted.is_empty());
        }
        index = index.clone();
    }
    let unknown = column("shape", Test::In(vec![Value::Null]));
    let options = SearchOptions { filter: Some(unknown), ..SearchOptions::default() };
    let error = index.search(&[&vector(1)], &options).unwrap_err();
    assert_eq!(error.code().name, "request.unknown_column");
    assert!(error.to_string().contains("\"color\", \"price\", \"year\""), "{error}");
}

#[test]
fn an_approximate_search_finds_most_of_the_nearest_rows() {
    let root = TempDir::new().unwrap();
    let mut writer =
        Writer::create(root.path(), source(), WriterOptions { segment_rows: 8_000, ..options() })
            .unwrap();
    push(&mut writer, 0..20_000);
    let published = writer.publish().unwrap();
    let recall = published.manifest.recall.unwrap();
    assert!(recall.queries >= 100 && recall.at_10 > 0.8, "{recall:?}");
    let index = Index::open(root.path()).unwrap();
    let queries: Vec<Vec<f32>> = (30_000..30_040).map(vector).collect();
    let of = |exact| {
        let options = SearchOptions { exact, exact_rows: 0, ..SearchOptions::default() };
        index.search(&queries, &options).unwrap()
    };
    let (exact, approximate) = (of(true), of(false));
    assert!(exact.exact && !approximate.exact);
    let mut found = 0;
    for (wanted, hits) in exact.hits.iter().zip(&approximate.hits) {
        // Each row that is found has the score of the exact search.
        found += hits.iter().filter(|hit| wanted.contains(hit)).count();
    }
    assert!(found >= 320, "{found} of 400");
}

#[test]
fn threads_divide_the_rows_and_change_no_result() {
    let root = TempDir::new().unwrap();
    let index = build(root.path(), 1_950);
    for count in 1..=8 {
        let lists = super::spans::spans(&index.parts, NonZeroUsize::new(count).unwrap(), 1);
        assert!(lists.len() <= count);
        let mut rows = Vec::new();
        for span in lists.iter().flatten() {
            assert!(span.start < span.end && span.start % 64 == 0, "{span:?}");
            rows.extend((span.start..span.end).map(|row| (span.part, row)));
        }
        let all = (0..).zip(&index.parts);
        let all: Vec<(u32, usize)> =
            all.flat_map(|(part, p)| (0..p.segment.rows).map(move |row| (part, row))).collect();
        assert_eq!(rows, all, "{count}");
    }
    let queries: Vec<Vec<f32>> = (0..20).map(|number| vector(number * 7 + 5_000)).collect();
    let color = column("color", Test::In(vec![Value::Text("red".to_owned())]));
    for filter in [None, Some(color)] {
        for exact in [true, false] {
            let search = |threads| {
                let threads = NonZeroUsize::new(threads).unwrap();
                let filter = filter.clone();
                let options =
                    SearchOptions { filter, exact, exact_rows: 0, threads, ..Default::default() };
                index.search(&queries, &options).unwrap()
            };
            assert_eq!(search(1), search(4), "{exact}");
        }
    }
}

#[test]
fn an_exact_search_excludes_no_row_whose_factors_are_not_numbers() {
    let root = TempDir::new().unwrap();
    let query = vector(17);
    let search = |index: &Index| {
        let options = SearchOptions { top_k: 3, exact: true, ..SearchOptions::default() };
        index.search(&[&query], &options).unwrap().hits.remove(0)
    };
    let index = build(root.path(), 2_000);
    let expected = search(&index);
    let best = index.places()[17].row as usize;
    assert_eq!(expected[0].row.id, "row-17");
    drop(index);
    for value in [f32::NAN, -f32::NAN] {
        for segment in fs::read_dir(root.path().join("segments")).unwrap() {
            let path = segment.unwrap().path().join("factors.8.npy");
            let mut bytes = fs::read(&path).unwrap();
            let start = npy::HEADER_BYTES + best * size_of::<codes::ByteFactors>();
            for factor in bytes[start..].chunks_mut(4).take(codes::BYTE_FACTORS) {
                factor.copy_from_slice(&value.to_le_bytes());
            }
            fs::write(&path, bytes).unwrap();
        }
        assert_eq!(search(&Index::open(root.path()).unwrap()), expected);
    }
}

#[test]
fn requested_rows_are_those_that_are_read() {
    let root = TempDir::new().unwrap();
    let index = build(root.path(), 900);
    for count in [0, 1, 900] {
        let places: Vec<_> = index.places().into_iter().rev().take(count).collect();
        let rows: Vec<Row> = places.iter().map(|&place| index.row(place).unwrap()).collect();
        index.request_rows(&places);
        let again: Vec<Row> = places.iter().map(|&place| index.row(place).unwrap()).collect();
        assert_eq!(rows, again);
    }
    // A missing row is no error: its pages are not requested.
    for step in RowStep::ALL {
        index.parts[0].segment.each_part(usize::MAX / 64, step, request);
    }
}

/// Whether the operating system reads only the pages that are accessed in a file: the flag `rr` of its
/// map. Source: <https://docs.kernel.org/filesystems/proc.html>, `VmFlags`.
#[cfg(target_os = "linux")]
fn is_read_sparsely(path: &Path) -> bool {
    let maps = fs::read_to_string("/proc/self/smaps").unwrap();
    let name = path.display().to_string();
    let map = maps.split(&name).nth(1).unwrap();
    let flags = map.lines().find_map(|line| line.strip_prefix("VmFlags:")).unwrap();
    flags.split_whitespace().any(|flag| flag == "rr")
}

#[test]
#[cfg(target_os = "linux")]
fn files_are_read_ahead_only_while_rows_are_read_in_order() {
    let root = TempDir::new().unwrap();
    let index = build(root.path(), 100);
    let folder = index.parts[0].segment.folder.canonicalize().unwrap();
    let are_sparse = || {
        ["vectors.npy", "texts.bin", "columns.bin"].map(|name| is_read_sparsely(&folder.join(name)))
    };
    assert_eq!(are_sparse(), [true; 3]);
    let mut rows = index.rows();
    assert!(rows.next().is_some());
    assert_eq!(are_sparse(), [false; 3]);
    drop(rows);
    assert_eq!(are_sparse(), [true; 3]);
}

#[test]
fn segments_that_are_opened_together_are_in_order() {
    for count in [0, 1, 2, 16, 17, 900] {
        let numbers: Vec<usize> = (0..count).collect();
        assert_eq!(super::together::together(&numbers, Ok).unwrap(), numbers, "{count}");
    }
    let missing = || CorpusError::NotFound { folder: String::new() };
    assert!(
        super::together::together(&[1, 2, 3], |n| if n == 2 { Err(missing()) } else { Ok(n) })
            .is_err()
    );
}

#[test]
fn rows_are_appended_replaced_and_deleted() {
    let root = TempDir::new().unwrap();
    build(root.path(), 600);
    let mut writer = Writer::open(root.path(), options()).unwrap();
    push(&mut writer, 600..700);
    let changed = Row { text: "another text".to_owned(), ..row(3) };
    let refused = writer.push(&changed, 9, &vector(9_003), OnDuplicate::Refuse).unwrap();
    assert_eq!(refused, Err(RowFault::KnownId));
    writer.push(&changed, 9, &vector(9_003), OnDuplicate::Replace).unwrap().unwrap();
    let repeated = writer.push(&changed, 10, &vector(9_003), OnDuplicate::Refuse).unwrap();
    assert_eq!(repeated, Err(RowFault::RepeatedId { first_line: 9 }));
    assert!(writer.delete("row-5").unwrap());
    assert!(!writer.delete("row-5").unwrap());
    assert!(writer.delete("row-650").unwrap());
    let year = column("year", Test::In(vec![Value::Integer(1_997)]));
    assert_eq!(writer.delete_where(&year).unwrap(), 15);
    writer.publish().unwrap();
    let mut wanted =
        expected((0..700).filter(|&n| n != 5 && n != 650 && (n % 40 != 7 || n >= 600)));
    let mut sorted = changed;
    sorted.metadata.sort_by(|a, b| a.0.cmp(&b.0));
    wanted.insert(sorted.id.clone(), (sorted, vector(9_003)));
    assert_eq!(content(root.path()), wanted);

    let before = Index::open(root.path()).unwrap();
    let mut writer = Writer::open(root.path(), options()).unwrap();
    writer.compact().unwrap();
    let published = writer.publish().unwrap();
    assert!(published.changed);
    assert!(published.manifest.segments.iter().all(|segment| segment.deleted == 0));
    assert_eq!(content(root.path()), wanted);
    // The version before is still open and whole.
    assert_eq!(before.rows().count(), wanted.len());
    before.verify(|_| {}).unwrap();

    let mut writer = Writer::open(root.path(), options()).unwrap();
    writer.delete_where(&Filter::All(Vec::new())).unwrap();
    writer.publish().unwrap();
    assert_eq!(content(root.path()), BTreeMap::new());
    let empty = Index::open(root.path()).unwrap();
    assert_eq!(empty.search(&[vector(1)], &SearchOptions::default()).unwrap().hits, [vec![]]);
}

#[test]
fn an_unchanged_row_is_recognized_and_an_unchanged_index_keeps_its_version() {
    let root = TempDir::new().unwrap();
    let index = build(root.path(), 10);
    let writer = Writer::open(root.path(), options()).unwrap();
    assert!(writer.has(&row(3)).unwrap());
    assert!(!writer.has(&Row { text: "other".to_owned(), ..row(3) }).unwrap());
    assert!(!writer.has(&row(11)).unwrap());
    let published = writer.publish().unwrap();
    assert_eq!((published.digest.as_str(), published.changed), (index.digest(), false));
}

#[test]
fn there_is_one_writer_and_a_change_of_an_old_version_is_refused() {
    let root = TempDir::new().unwrap();
    build(root.path(), 10);
    let mut writer = Writer::open(root.path(), options()).unwrap();
    let error = Writer::open(root.path(), options()).unwrap_err();
    assert_eq!(error.code().name, "index.locked");
    push(&mut writer, 10..20);
    // As another host without the lock would: it publishes another version.
    let current = root.path().join("CURRENT");
    fs::write(&current, format!("{}\n", "b".repeat(64))).unwrap();
    let error = writer.publish().unwrap_err();
    assert_eq!(error.code().name, "index.conflict");
    assert!(error.to_string().contains(&"b".repeat(64)), "{error}");
}

#[test]
fn rows_that_violate_a_rule_are_refused_and_the_writer_goes_on() {
    let root = TempDir::new().unwrap();
    let mut writer = Writer::create(root.path(), source(), options()).unwrap();
    let with = |metadata| Row { metadata, ..row(1) };
    let cases = [
        (Row { id: String::new(), ..row(1) }, "index.bad_id"),
        (Row { id: "x".repeat(513), ..row(1) }, "index.bad_id"),
        (Row { id: "a\nb".to_owned(), ..row(1) }, "index.bad_id"),
        (with(vec![("$or".to_owned(), Value::Null)]), "index.bad_metadata"),
        (with(vec![(String::new(), Value::Null)]), "index.bad_metadata"),
        (with(vec![("x".to_owned(), Value::Number(f64::NAN))]), "index.bad_metadata"),
        (with(vec![("x".to_owned(), Value::Null); 2]), "index.bad_metadata"),
        (with((0..257).map(|i| (i.to_string(), Value::Null)).collect()), "index.bad_metadata"),
    ];
    for (row, code) in cases {
        let fault = writer.push(&row, 1, &vector(1), OnDuplicate::Refuse).unwrap().unwrap_err();
        assert_eq!(fault.code().name, code);
    }
    let of = |vector: &[f32], writer: &mut Writer| {
        writer.push(&row(1), 1, vector, OnDuplicate::Refuse).unwrap_err().code().name
    };
    assert_eq!(of(&[1.0; DIM + 1], &mut writer), "request.wrong_dimensions");
    assert_eq!(of(&[0.0; DIM], &mut writer), "request.degenerate_vector");
    assert_eq!(of(&[f32::NAN; DIM], &mut writer), "request.degenerate_vector");
    push(&mut writer, 1..3);
    writer.publish().unwrap();
    assert_eq!(content(root.path()), expected(1..3));
}

#[test]
fn vectors_of_half_precision_are_half_the_size() {
    let root = TempDir::new().unwrap();
    let source = VectorSource { precision: VectorPrecision::F16, ..source() };
    let mut writer = Writer::create(root.path(), source, options()).unwrap();
    push(&mut writer, 0..300);
    let digest = writer.publish().unwrap().manifest.segments[0].digest.clone();
    let path = root.path().join("segments").join(digest).join("vectors.npy");
    assert_eq!(fs::metadata(path).unwrap().len(), 128 + 300 * DIM as u64 * 2);
    let index = Index::open(root.path()).unwrap();
    let (row, stored) = index.rows().nth(7).unwrap().unwrap();
    assert_eq!(row.id, "row-7");
    assert!(stored.iter().zip(vector(7)).all(|(a, b)| (a - b).abs() < 2e-4));
    let hits = &index.search(&[vector(7)], &SearchOptions::default()).unwrap().hits[0];
    assert_eq!(hits[0].row.id, "row-7");
}

/// Panics the thread at a point, as a crash ends a process.
fn crash_at(point: &'static str) -> WriterOptions {
    let points = Points::new(move |reached| {
        if reached == point {
            std::panic::resume_unwind(Box::new(point));
        }
    });
    WriterOptions { grace: Duration::ZERO, points, ..options() }
}

/// A change of an index: it embeds what no run has saved, and counts it.
fn change(folder: &Path, options: WriterOptions, embedded: &mut usize) {
    let mut writer = match Index::current(folder).unwrap() {
        None => Writer::create(folder, source(), options).unwrap(),
        Some(_) => Writer::open(folder, options).unwrap(),
    };
    for numbers in [300..700u64, 700..1_000] {
        let rows: Vec<Row> =
            numbers.clone().map(row).filter(|row| !writer.has(row).unwrap()).collect();
        let texts: Vec<&str> = rows.iter().map(|row| row.text.as_str()).collect();
        if texts.is_empty() {
            continue;
        }
        let vectors = writer.saved(&texts).unwrap().unwrap_or_else(|| {
            *embedded += texts.len();
            let vectors: Vec<f32> = numbers.flat_map(vector).collect();
            writer.save(&texts, &vectors).unwrap();
            vectors
        });
        for (row, vector) in rows.iter().zip(vectors.chunks(DIM)) {
            writer.push(row, 1, vector, OnDuplicate::Refuse).unwrap().unwrap();
        }
    }
    for number in 0..100u64 {
        writer.delete(&row(number).id).unwrap();
    }
    writer.publish().unwrap();
}

#[test]
fn after_a_crash_at_any_point_the_index_is_old_or_new_and_the_change_can_be_repeated() {
    for is_new in [false, true] {
        for point in POINTS {
            let root = TempDir::new().unwrap();
            let folder = root.path().join("index");
            let old = if is_new {
                BTreeMap::new()
            } else {
                build(&folder, 300);
                expected(0..300)
            };
            let new = expected(if is_new { 300..1_000 } else { 100..1_000 });
            let mut embedded = 0;
            let ended = catch_unwind(AssertUnwindSafe(|| {
                change(&folder, crash_at(point), &mut embedded);
            }));
            // A first version has nothing to prune.
            assert_eq!(ended.is_err(), !(is_new && point == "prune"), "{point}");
            let current = Index::current(&folder).unwrap();
            let now = if current.is_some() { content(&folder) } else { BTreeMap::new() };
            let renamed = ["current_renamed", "prune"].contains(&point);
            assert_eq!(now, if renamed { new.clone() } else { old }, "{point}");
            let options = WriterOptions { grace: Duration::ZERO, ..options() };
            change(&folder, options, &mut embedded);
            assert_eq!(content(&folder), new, "{point}");
            assert_eq!(embedded, 700, "{point}: nothing is embedded twice");
            // Nothing is left over: not of the crash, not of the version before.
            let index = Index::open(&folder).unwrap();
            let count = |name: &str| fs::read_dir(folder.join(name)).unwrap().count();
            let tombstones = index.manifest().segments.iter().filter(|s| s.deleted > 0).count();
            assert_eq!(count("manifests"), 1, "{point}");
            assert_eq!(count("segments"), index.manifest().segments.len(), "{point}");
            assert_eq!(count("tombstones"), tombstones, "{point}");
            assert_eq!(count(".staging"), 1, "{point}: the lock");
        }
    }
}

#[test]
fn files_of_the_version_before_are_kept_for_a_time() {
    let root = TempDir::new().unwrap();
    let old = build(root.path(), 300);
    let mut writer = Writer::open(root.path(), options()).unwrap();
    writer.delete("row-1").unwrap();
    writer.compact().unwrap();
    writer.publish().unwrap();
    Index::open_version(root.path(), old.digest()).unwrap().verify(|_| {}).unwrap();
}

#[test]
fn the_time_of_its_replacement_decides_when_a_version_is_removed() {
    let root = TempDir::new().unwrap();
    let first = build(root.path(), 300);
    let mut writer = Writer::open(root.path(), options()).unwrap();
    writer.delete("row-1").unwrap();
    let second = writer.publish().unwrap().digest;
    // Written long ago, and in use until now.
    let manifest = root.path().join("manifests").join(format!("{second}.json"));
    let long_ago = std::time::SystemTime::now() - Duration::from_secs(30 * 24 * 3600);
    fs::File::open(&manifest).unwrap().set_modified(long_ago).unwrap();
    assert_eq!(use_version(root.path(), first.digest()).unwrap().len(), 300);
    Writer::open(root.path(), options()).unwrap().publish().unwrap();
    Index::open_version(root.path(), &second).unwrap().verify(|_| {}).unwrap();
    let options = WriterOptions { grace: Duration::ZERO, ..options() };
    Writer::open(root.path(), options).unwrap().publish().unwrap();
    assert!(!manifest.exists());
    assert_eq!(Index::open(root.path()).unwrap().digest(), first.digest());
}

/// Writes a changed copy of a file of the only segment, and fixes the digests up to the manifest.
fn tamper(folder: &Path, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
    let index = Index::open(folder).unwrap();
    let path = folder.join("segments").join(&index.manifest().segments[0].digest).join(name);
    let mut bytes = fs::read(&path).unwrap();
    change(&mut bytes);
    fs::write(path, bytes).unwrap();
}

#[test]
fn damage_is_an_error_that_names_the_file() {
    type Change = fn(&mut Vec<u8>);
    let cases: [(&str, Change, &str); 9] = [
        ("vectors.npy", |bytes| bytes.truncate(1_000), "index.size_mismatch"),
        ("vectors.npy", |bytes| bytes[20] = b'8', "index.damaged"),
        ("vectors.npy", |bytes| bytes[5_000] ^= 1, "index.damaged"),
        ("codes.1.npy", |bytes| bytes[500] ^= 1, "index.damaged"),
        ("texts.bin", |bytes| bytes[3] = 0xff, "index.damaged"),
        (
            "texts.bin",
            |bytes| {
                let end = bytes.len();
                bytes[end - 8..].copy_from_slice(&u64::MAX.to_le_bytes());
            },
            "index.damaged",
        ),
        ("ids.bin", |bytes| bytes.fill(0xff), "index.damaged"),
        ("columns.bin", |bytes| bytes[..4].fill(0xff), "index.damaged"),
        ("segment.json", |bytes| bytes.push(b' '), "index.damaged"),
    ];
    for (name, change, code) in cases {
        let root = TempDir::new().unwrap();
        build(root.path(), 100);
        tamper(root.path(), name, change);
        let opened = Index::open(root.path());
        // What opening does not see must not crash a search.
        if let Ok(index) = &opened {
            let _ = index.search(&[vector(1)], &SearchOptions::default());
            let year = column("year", Test::AtLeast(Value::Integer(2_000)));
            let filter = Some(year);
            let options = SearchOptions { filter, exact_rows: 0, ..SearchOptions::default() };
            let _ = index.search(&[vector(1)], &options);
        }
        let error = opened.and_then(|index| index.verify(|_| {})).unwrap_err();
        assert_eq!(error.code().name, code, "{name}: {error}");
        assert!(error.to_string().contains(name), "{error}");
    }
}

/// Publishes a changed manifest.
pub(super) fn republish(folder: &Path, change: impl FnOnce(&mut serde_json::Value)) {
    let digest = Index::current(folder).unwrap().unwrap();
    let path = folder.join("manifests").join(format!("{digest}.json"));
    let mut manifest = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    change(&mut manifest);
    let bytes = manifest.to_string().into_bytes();
    let digest = crate::bundle::sha256_hex(&bytes);
    fs::write(folder.join("manifests").join(format!("{digest}.json")), bytes).unwrap();
    fs::write(folder.join("CURRENT"), format!("{digest}\n")).unwrap();
}

#[test]
fn a_hostile_manifest_is_refused_by_field() {
    use serde_json::json;
    let cases = [
        ("/schema_version", json!(2), "schema_version"),
        ("/rows", json!(99), "rows"),
        ("/vectors/dimensions", json!(0), "vectors.dimensions"),
        ("/vectors/dimensions", json!(8), "segments[0].digest"),
        ("/vectors/bundle_digest", json!("../../etc"), "vectors.bundle_digest"),
        ("/vectors/precision", json!("f64"), "vectors.precision"),
        ("/segments/0/digest", json!("../../../etc/passwd"), "segments[0].digest"),
        ("/segments/0/deleted", json!(101), "segments[0].deleted"),
        ("/segments/0/tombstones", json!("a".repeat(64)), "segments[0].tombstones"),
        ("/segments/0/rows", json!(-1), "segments[0].rows"),
        ("/parent", json!("none"), "parent"),
    ];
    for (pointer, value, field) in cases {
        let root = TempDir::new().unwrap();
        build(root.path(), 100);
        republish(root.path(), |manifest| *manifest.pointer_mut(pointer).unwrap() = value);
        match Index::open(root.path()).unwrap_err() {
            CorpusError::InvalidManifest { field: found, .. } => assert_eq!(found, field),
            other => panic!("{pointer}: {other}"),
        }
    }
    let root = TempDir::new().unwrap();
    build(root.path(), 100);
    for line in ["", "x", "../../x\n", &"a".repeat(64)] {
        fs::write(root.path().join("CURRENT"), line).unwrap();
        assert_eq!(Index::open(root.path()).unwrap_err().code().name, "index.damaged", "{line:?}");
    }
}

#[test]
fn a_missing_index_and_another_bundle_have_their_codes() {
    let root = TempDir::new().unwrap();
    let missing = Index::open(&root.path().join("none")).unwrap_err();
    assert_eq!(missing.code().name, "index.not_found");
    let index = build(root.path(), 3);
    index.check_bundle(&"a".repeat(64)).unwrap();
    let error = index.check_bundle(&"b".repeat(64)).unwrap_err();
    assert_eq!(error.code().name, "index.other_bundle");
    let error = Writer::create(root.path(), source(), options()).unwrap_err();
    assert_eq!(error.code().name, "index.exists");
}

#[test]
fn a_catalog_opens_by_name_and_keeps_an_open_version_valid() {
    let root = TempDir::new().unwrap();
    let folder = root.path().join("docs");
    build(&folder, 30);
    let catalog = Catalog::new(root.path().to_path_buf());
    for name in ["", "..", "a/b", "UPPER", "."] {
        assert_eq!(catalog.get(name).unwrap_err().code().name, "index.invalid_name", "{name}");
    }
    assert_eq!(catalog.get("other").unwrap_err().code().name, "index.not_found");
    let old = catalog.get("docs").unwrap();
    let mut writer = Writer::open(&folder, options()).unwrap();
    push(&mut writer, 30..40);
    let published = writer.publish().unwrap();
    let mut new = Arc::clone(&old);
    for _ in 0..100 {
        new = catalog.get("docs").unwrap();
        if new.digest() == published.digest {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!((old.len(), new.len()), (30, 40));
}

#[test]
fn equal_input_gives_an_equal_index() {
    let roots: Vec<TempDir> = (0..2).map(|_| TempDir::new().unwrap()).collect();
    let digests: Vec<String> =
        roots.iter().map(|root| build(root.path(), 500).digest().to_owned()).collect();
    assert_eq!(digests[0], digests[1]);
    let _: PathBuf = roots[0].path().to_path_buf();
}
