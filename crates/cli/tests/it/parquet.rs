//! Parquet on the command line: the file of an index for other programs, and files as input.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::basic::{
    Compression, GzipLevel, LogicalType, Repetition, TimeUnit, Type as PhysicalType, ZstdLevel,
};
use parquet::data_type::{
    BoolType, ByteArray, ByteArrayType, DataType, DoubleType, FloatType, Int32Type, Int64Type,
};
use parquet::file::properties::WriterProperties;
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::Type;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::program::{error, output, semblance, text};

/// Runs a command that succeeds; returns what it prints.
fn run(arguments: &[&str]) -> String {
    let output = output(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
    text(&output.stdout).to_owned()
}

fn exported(index: &str) -> Vec<Value> {
    let lines = run(&["index", "export", index]);
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The Parquet files of the segments of an index.
fn files(index: &str) -> Vec<PathBuf> {
    let segments = fs::read_dir(Path::new(index).join("segments")).unwrap();
    segments.map(|segment| segment.unwrap().path().join("rows.parquet")).collect()
}

/// A column to write: its type, and the function that writes its values.
struct Column {
    kind: Arc<Type>,
    write: Box<dyn Fn(&mut parquet::file::writer::SerializedColumnWriter<'_>)>,
}

fn column<T: DataType>(
    name: &str,
    logical: Option<LogicalType>,
    values: Vec<Option<T::T>>,
) -> Column
where
    T::T: 'static,
{
    let kind = Type::primitive_type_builder(name, T::get_physical_type())
        .with_repetition(Repetition::OPTIONAL)
        .with_logical_type(logical);
    let defined: Vec<i16> = values.iter().map(|value| i16::from(value.is_some())).collect();
    let values: Vec<T::T> = values.into_iter().flatten().collect();
    Column {
        kind: Arc::new(kind.build().unwrap()),
        write: Box::new(move |writer| {
            writer.typed::<T>().write_batch(&values, Some(&defined), None).unwrap();
        }),
    }
}

fn texts(name: &str, values: &[Option<&str>]) -> Column {
    let values = values.iter().map(|value| value.map(ByteArray::from)).collect();
    column::<ByteArrayType>(name, Some(LogicalType::String), values)
}

/// Writes a file with these columns in each of some row groups.
fn write(path: &Path, columns: &[Column], groups: usize, compression: Compression) {
    let fields = columns.iter().map(|column| Arc::clone(&column.kind)).collect();
    let schema = Type::group_type_builder("rows").with_fields(fields).build().unwrap();
    let properties = WriterProperties::builder().set_compression(compression).build();
    let file = File::create(path).unwrap();
    let mut writer =
        SerializedFileWriter::new(file, Arc::new(schema), Arc::new(properties)).unwrap();
    for _ in 0..groups {
        let mut group = writer.next_row_group().unwrap();
        for column in columns {
            let mut out = group.next_column().unwrap().unwrap();
            (column.write)(&mut out);
            out.close().unwrap();
        }
        group.close().unwrap();
    }
    writer.close().unwrap();
}

#[test]
fn an_index_has_its_rows_as_parquet_which_builds_an_equal_index() {
    let root = TempDir::new().unwrap();
    let path = |name: &str| root.path().join(name).display().to_string();
    let (first, second, rows) = (path("first"), path("second"), path("rows.jsonl"));
    let lines = [
        json!({"id": "a", "text": "A cat, asleep", "kind": "animal", "year": 2001, "open": true}),
        json!({"id": "b", "text": "Ein Hund bellt in Köln", "kind": "animal", "share": 0.25}),
        json!({"id": "c", "text": "Interest rates rise", "year": -3, "share": 7, "open": false}),
    ];
    let lines: Vec<String> = lines.iter().map(Value::to_string).collect();
    fs::write(&rows, lines.join("\n")).unwrap();
    run(&["index", "build", &first, &rows]);
    let [file] = files(&first).try_into().unwrap();
    run(&["index", "build", &second, file.to_str().unwrap()]);
    let (mut expected, found) = (exported(&first), exported(&second));
    // A column of integers and other numbers has numbers.
    expected[2]["share"] = json!(7.0);
    assert_eq!(found, expected);

    let reader = SerializedFileReader::new(File::open(&file).unwrap()).unwrap();
    let schema = reader.metadata().file_metadata().schema();
    let names: Vec<&str> = schema.get_fields().iter().map(|field| field.name()).collect();
    assert_eq!(names, ["id", "text", "kind", "open", "share", "year"]);

    // The digest of the file is that of the manifest.
    let bytes = fs::read(&file).unwrap();
    fs::write(&file, [&bytes[..bytes.len() - 1], b"x"].concat()).unwrap();
    let error = error(&["index", "verify", &first]);
    assert!(error.contains("index.damaged") && error.contains("rows.parquet"), "{error}");
}

#[test]
fn every_change_of_an_index_writes_parquet() {
    let root = TempDir::new().unwrap();
    let (index, rows) = (root.path().join("docs"), root.path().join("rows.jsonl"));
    let (index, rows) = (index.to_str().unwrap(), rows.to_str().unwrap());
    let line = |id: usize| json!({"id": id.to_string(), "text": format!("Entry {id}")}).to_string();
    fs::write(rows, (0..6).map(|id| line(id) + "\n").collect::<String>()).unwrap();
    run(&["index", "build", index, rows, "--segment-rows", "2"]);
    assert_eq!(files(index).iter().filter(|file| file.exists()).count(), 3);
    fs::write(rows, line(6)).unwrap();
    run(&["index", "append", index, rows]);
    run(&["index", "delete", index, "--id", "0"]);
    run(&["index", "compact", index, "--grace-hours", "0"]);
    let [file] = files(index).try_into().unwrap();
    let reader = SerializedFileReader::new(File::open(file).unwrap()).unwrap();
    assert_eq!(reader.metadata().file_metadata().num_rows(), 6);
}

#[test]
fn columns_of_other_kinds_and_names_can_be_read_again() {
    let root = TempDir::new().unwrap();
    let (index, rows) = (root.path().join("docs"), root.path().join("rows.jsonl"));
    let (index, rows) = (index.to_str().unwrap(), rows.to_str().unwrap());
    // Metadata named as the columns of ids and texts, values of several kinds, a large integer.
    let lines = "{\"key\": \"k\", \"body\": \"first\", \"id\": 1, \"text\": \"x\", \"m\": 1, \"n\": 0.5}\n\
                 {\"key\": \"l\", \"body\": \"second\", \"id_\": 2, \"m\": \"s\", \"n\": 9007199254740993}\n";
    fs::write(rows, lines).unwrap();
    let names = ["--id-column", "key", "--text-column", "body"];
    run(&[&["index", "build", index, rows], &names[..]].concat());
    let lines = exported(index);
    assert_eq!(
        lines[0],
        json!({"id": "k", "text": "first", "id__": 1, "text_": "x", "m": 1, "n": 0.5})
    );
    let [file] = files(index).try_into().unwrap();
    let again = root.path().join("again");
    run(&["index", "build", again.to_str().unwrap(), file.to_str().unwrap()]);
    let expected = [
        json!({"id": "k", "text": "first", "id__": 1, "text_": "x", "m": "1", "n": "0.5"}),
        json!({"id": "l", "text": "second", "id_": 2, "m": "s", "n": "9007199254740993"}),
    ];
    assert_eq!(exported(again.to_str().unwrap()), expected);
}

#[test]
fn columns_of_parquet_are_values_of_metadata() {
    let root = TempDir::new().unwrap();
    let utc = LogicalType::timestamp(true, TimeUnit::MILLIS);
    let local = LogicalType::timestamp(false, TimeUnit::NANOS);
    let columns = [
        column::<Int32Type>("id", None, vec![Some(1), Some(2)]),
        texts("text", &[Some("hello"), Some("world")]),
        column::<BoolType>("open", None, vec![Some(true), None]),
        column::<FloatType>("f", None, vec![Some(0.5), None]),
        column::<DoubleType>("d", None, vec![Some(-2.25), None]),
        column::<Int32Type>("day", Some(LogicalType::Date), vec![Some(19_782), None]),
        column::<Int64Type>("at", Some(utc), vec![Some(1_709_210_096_789), None]),
        column::<Int64Type>("local", Some(local), vec![Some(-1), None]),
        column::<Int64Type>("u", Some(LogicalType::integer(64, false)), vec![Some(-1), Some(8)]),
        column::<ByteArrayType>("raw", None, vec![Some("bytes".into()), None]),
    ];
    let compressions = [
        Compression::UNCOMPRESSED,
        Compression::SNAPPY,
        Compression::ZSTD(ZstdLevel::default()),
        Compression::GZIP(GzipLevel::default()),
        Compression::LZ4_RAW,
    ];
    for (number, compression) in compressions.into_iter().enumerate() {
        let file = root.path().join("rows.parquet");
        write(&file, &columns, 1, compression);
        let index = root.path().join(format!("docs{number}"));
        let index = index.to_str().unwrap();
        run(&["index", "build", index, file.to_str().unwrap()]);
        let expected = [
            json!({"id": "1", "text": "hello", "open": true, "f": 0.5, "d": -2.25,
                   "day": "2024-02-29", "at": "2024-02-29T12:34:56.789Z",
                   "local": "1969-12-31T23:59:59.999999999", "u": 1.8446744073709552e19,
                   "raw": "bytes"}),
            json!({"id": "2", "text": "world", "u": 8}),
        ];
        assert_eq!(exported(index), expected, "{compression:?}");
    }
}

#[test]
fn bad_rows_of_parquet_have_their_number() {
    let root = TempDir::new().unwrap();
    let file = root.path().join("rows.parquet");
    let bytes = |values: &[&[u8]]| {
        values.iter().map(|value| Some(ByteArray::from(value.to_vec()))).collect::<Vec<_>>()
    };
    let columns = [
        texts("id", &[Some("a"), Some("b"), None, Some("d"), Some("a")]),
        column::<ByteArrayType>(
            "text",
            Some(LogicalType::String),
            bytes(&[b"fine", b"bad \xff", b"fine", b"fine", b"other"]),
        ),
        column::<DoubleType>("x", None, vec![None, None, None, Some(f64::NAN), None]),
    ];
    write(&file, &columns, 1, Compression::SNAPPY);
    let (index, file) = (root.path().join("docs"), file.to_str().unwrap());
    let index = index.to_str().unwrap();
    let refused = error(&["index", "build", index, file]);
    assert!(
        refused.contains("request.not_utf8: line 2: the text is not UTF-8 at byte 4"),
        "{refused}"
    );
    let built = output(&["index", "build", index, file, "--bad-rows", "skip"]);
    let log = text(&built.stderr);
    for expected in [
        "skipped line 2: request.not_utf8",
        "skipped line 3: input.bad_row: the column \"id\" is missing or null",
        "skipped line 4: index.bad_metadata: a number of the metadata is not finite",
        "skipped line 5: index.duplicate_id: the id is already used in line 1",
    ] {
        assert!(log.contains(expected), "{expected}: {log}");
    }
    assert_eq!(exported(index), [json!({"id": "a", "text": "fine"})]);
}

#[test]
fn rows_of_several_groups_and_batches_are_read_in_order() {
    let root = TempDir::new().unwrap();
    let file = root.path().join("rows.parquet");
    let values: Vec<Option<&str>> =
        (0..1_500).map(|i| ["same", " "][usize::from(i > 3)]).map(Some).collect();
    write(&file, &[texts("text", &values)], 2, Compression::SNAPPY);
    let index = root.path().join("docs");
    let index = index.to_str().unwrap();
    let built = output(&[
        "index",
        "build",
        index,
        file.to_str().unwrap(),
        "--line-ids",
        "--bad-rows",
        "skip",
    ]);
    assert!(text(&built.stdout).contains("skipped 2992 rows"), "{}", text(&built.stdout));
    let ids: Vec<Value> = exported(index).into_iter().map(|row| row["id"].clone()).collect();
    assert_eq!(ids, ["1", "2", "3", "4", "1501", "1502", "1503", "1504"]);
}

#[test]
fn a_column_that_is_no_metadata_is_refused_by_name() {
    let root = TempDir::new().unwrap();
    let scratch = |name: &str| root.path().join(name).display().to_string();
    // The output of `embed` has a list.
    let (lines, vectors) = (scratch("lines.txt"), scratch("vectors.parquet"));
    fs::write(&lines, "hello\n").unwrap();
    run(&["embed", &lines, "--output", &vectors]);
    let refused = error(&["index", "build", &scratch("docs"), &vectors]);
    assert!(
        refused.contains("input.unsupported_column") && refused.contains("\"embedding\" is nested"),
        "{refused}"
    );
    let (decimals, days) = (scratch("decimals.parquet"), scratch("time.parquet"));
    let kind = Some(LogicalType::decimal(2, 9));
    let id = || texts("id", &[Some("a")]);
    let text = || texts("text", &[Some("hello")]);
    let price = Type::primitive_type_builder("price", PhysicalType::INT32)
        .with_repetition(Repetition::OPTIONAL)
        .with_logical_type(kind)
        .with_precision(9)
        .with_scale(2);
    let mut price_column = column::<Int32Type>("price", None, vec![Some(123)]);
    price_column.kind = Arc::new(price.build().unwrap());
    write(Path::new(&decimals), &[id(), text(), price_column], 1, Compression::SNAPPY);
    let refused = error(&["index", "build", &scratch("docs"), &decimals]);
    assert!(refused.contains("\"price\" has decimals"), "{refused}");
    run(&["index", "build", &scratch("docs"), &decimals, "--column", "other"]);
    assert_eq!(exported(&scratch("docs")), [json!({"id": "a", "text": "hello"})]);

    let missing = error(&[
        "index",
        "build",
        &scratch("none"),
        &decimals,
        "--text-column",
        "t",
        "--id-column",
        "i",
        "--column",
        "c",
    ]);
    assert!(missing.contains("line 1: the column \"i\" is missing or null"), "{missing}");

    let time = Some(LogicalType::time(true, TimeUnit::MILLIS));
    let columns = [id(), text(), column::<Int32Type>("t", time, vec![Some(1)])];
    write(Path::new(&days), &columns, 1, Compression::SNAPPY);
    let refused = error(&["index", "build", &scratch("other"), &days]);
    assert!(refused.contains("\"t\" has times of day"), "{refused}");
    let twice = scratch("twice.parquet");
    let columns = [id(), text(), texts("n", &[Some("x")]), texts("n", &[Some("y")])];
    write(Path::new(&twice), &columns, 1, Compression::SNAPPY);
    let refused = error(&["index", "build", &scratch("other"), &twice]);
    assert!(refused.contains("\"n\" occurs twice"), "{refused}");
    let stdin = error(&["index", "build", &scratch("other"), "-", "--format", "parquet"]);
    assert!(stdin.contains("input.unreadable"), "{stdin}");
}

#[test]
fn a_damaged_file_is_an_error() {
    let root = TempDir::new().unwrap();
    let (file, damaged) = (root.path().join("rows.parquet"), root.path().join("damaged.parquet"));
    let ids: Vec<String> = (0..300).map(|id| id.to_string()).collect();
    let ids: Vec<Option<&str>> = ids.iter().map(|id| Some(id.as_str())).collect();
    // All texts are empty, so that no model runs if the damage is not found.
    let columns = [texts("id", &ids), texts("text", &vec![Some(" "); 300])];
    write(&file, &columns, 1, Compression::SNAPPY);
    let bytes = fs::read(&file).unwrap();
    let cuts = [0, 3, 8, bytes.len() / 2, bytes.len() - 9, bytes.len() - 1];
    let flips = (0..bytes.len()).step_by(bytes.len() / 40);
    let cut = cuts.map(|length| bytes[..length].to_vec());
    let flipped = flips.map(|at| {
        let mut bytes = bytes.clone();
        bytes[at] ^= 0x55;
        bytes
    });
    for (number, bytes) in cut.into_iter().chain(flipped).enumerate() {
        fs::write(&damaged, bytes).unwrap();
        let index = root.path().join("docs");
        let mut command = semblance(&["index", "build", index.to_str().unwrap()]);
        let output = command.arg(&damaged).args(["--bad-rows", "fail"]).output().unwrap();
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{number}: {error}");
        assert!(error.starts_with("error: ") && !error.contains("panicked"), "{number}: {error}");
    }
}

#[test]
fn a_file_of_rows_can_be_mined_clustered_and_drawn() {
    let root = TempDir::new().unwrap();
    let file = root.path().join("rows.parquet");
    let sentences = [
        "How do I reset my password?",
        "The range of an electric car",
        "I forgot my password, how can I reset it?",
        "How far does an electric car drive?",
        "Resetting a forgotten password",
    ];
    let values: Vec<Option<&str>> = sentences.iter().map(|text| Some(*text)).collect();
    write(&file, &[texts("sentence", &values)], 1, Compression::SNAPPY);
    let rows = [file.to_str().unwrap(), "--text-column", "sentence", "--line-ids"];
    let pairs = run(&[&["mine"], &rows[..], &["--max-pairs", "2"]].concat());
    let pairs: Vec<Value> = pairs.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((pairs.len(), &pairs[0]["a"], &pairs[0]["b"]), (2, &json!("1"), &json!("3")));
    let options = ["--threshold", "0.5", "--min-size", "2"];
    let clusters = run(&[&["cluster"], &rows[..], &options].concat());
    let sizes: Vec<Value> = clusters
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["size"].clone())
        .collect();
    assert_eq!(sizes, [3, 2]);
    let picture = root.path().join("map.svg");
    let drawn =
        run(&[&["map"], &rows[..], &options, &["--output", picture.to_str().unwrap()]].concat());
    assert!(drawn.starts_with("5 points, 2 clusters in "), "{drawn}");
    assert!(fs::read_to_string(&picture).unwrap().contains("password"));
}
