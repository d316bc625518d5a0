//! What a CSV may be.

use ::csv::{QuoteStyle, Terminator, WriterBuilder};
use proptest::prelude::*;
use serde_json::{Map, Value};

use super::*;

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().build().unwrap()
}

/// What a CSV is made of.
#[derive(Debug, Clone)]
struct Table {
    rows: Vec<Vec<String>>,
    delimiter: u8,
    always_quoted: bool,
    crlf: bool,
    mark: bool,
}

fn tables() -> impl Strategy<Value = Table> {
    let cell = prop_oneof![
        "[a-z,;|\t\"\r\n é]{0,12}",
        prop::collection::vec(any::<char>(), 0..6).prop_map(String::from_iter),
    ];
    let delimiter = prop::sample::select(b",;|\t".to_vec());
    (2_usize..5, delimiter, any::<[bool; 3]>()).prop_flat_map(move |(columns, delimiter, flags)| {
        let row = prop::collection::vec(cell.clone(), columns);
        prop::collection::vec(row, 0..8).prop_map(move |rows| Table {
            rows,
            delimiter,
            always_quoted: flags[0],
            crlf: flags[1],
            mark: flags[2],
        })
    })
}

impl Table {
    fn file(&self) -> Vec<u8> {
        let file = if self.mark { "\u{feff}".into() } else { Vec::new() };
        let mut writer = WriterBuilder::new()
            .delimiter(self.delimiter)
            .quote_style(if self.always_quoted {
                QuoteStyle::Always
            } else {
                QuoteStyle::Necessary
            })
            .terminator(if self.crlf {
                Terminator::CRLF
            } else {
                Terminator::Any(b'\n')
            })
            .from_writer(file);
        let columns = self.rows.first().map_or(2, Vec::len);
        writer
            .write_record((0..columns).map(|column| format!("c{column}")))
            .unwrap();
        for row in &self.rows {
            writer.write_record(row).unwrap();
        }
        writer.into_inner().unwrap()
    }
}

proptest! {
    #[test]
    fn whatever_its_delimiter_quotes_and_line_breaks_and_however_it_is_cut_each_row_is_what_was_written(
        table in tables(),
        piece in 1_usize..40,
    ) {
        let options = Options { delimiter: Some(table.delimiter), ..Options::default() };
        let (rows, fault) = runtime().block_on(read_pieces("a.csv", &table.file(), piece, options));
        prop_assert!(fault.is_none());
        let found = short(&rows).into_iter().map(|(_, row)| serde_json::from_str(&row.unwrap()).unwrap());
        let found: Vec<Map<String, Value>> = found.collect();
        let written = table.rows.iter().map(|row| {
            let cells = row.iter().enumerate();
            cells.map(|(column, cell)| (format!("c{column}"), Value::from(cell.as_str()))).collect()
        });
        prop_assert_eq!(found, written.collect::<Vec<_>>());
        prop_assert_eq!(rows.iter().map(|row| row.number).collect::<Vec<_>>(), (1..=rows.len() as u64).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn only_the_columns_to_keep_are_in_the_records() {
    let options = Options {
        columns: vec!["id".to_owned(), "mail".to_owned()],
        ..Options::default()
    };
    let file = "\u{feff}id,city, mail \r\n1,Porto,a@example.org\r\n2,\"Vila\r\nNova\",\r\n";
    assert_eq!(
        read("a.csv", file.as_bytes(), options.clone()).await,
        good(&[r#"{"id":"1","mail":"a@example.org"}"#, r#"{"id":"2","mail":""}"#])
    );
    let named = Options {
        headers: Some(vec!["id".to_owned(), "city".to_owned()]),
        ..options.clone()
    };
    for (file, options) in [("id,city\n1,Porto\n", options), ("1,Porto\n", named)] {
        let (rows, fault) = read_pieces("a.csv", file.as_bytes(), 100, options).await;
        let fault = fault.unwrap().to_string();
        assert!(rows.is_empty() && fault.contains("`mail`"), "{fault}");
    }
}

#[tokio::test]
async fn the_name_and_the_beginning_say_what_a_file_is_and_a_word_counts_more() {
    let csv = good(&[r#"{"a":"1","b":"2"}"#]);
    for (name, file) in [
        ("a.csv", "a,b\n1,2"),
        ("a.tsv", "a\tb\n1\t2"),
        ("a.txt", "\u{feff}a,b\n1,2"),
        ("a", "a,b\n1,2\n"),
    ] {
        assert_eq!(read(name, file.as_bytes(), Options::default()).await, csv, "{name}");
    }
    for name in ["a.txt", "a.ndjson", "a"] {
        let rows = read(
            name,
            "\u{feff}{\"a\":1}\n\n{\"b\":2}\r\n".as_bytes(),
            Options::default(),
        )
        .await;
        assert_eq!(rows, good(&["{\"a\":1}", "{\"b\":2}"]), "{name}");
    }
    let mut said = Options::default();
    said.format.what = Some(What::Csv);
    said.headers = Some(vec!["x".to_owned()]);
    assert_eq!(read("a.ndjson", b"{}\n", said).await, good(&[r#"{"x":"{}"}"#]));
}

#[tokio::test]
async fn a_row_that_cannot_be_read_has_a_number_and_a_reason_and_the_next_is_read() {
    let large = "x".repeat(ROW_BYTES_MAX);
    let file = [
        b"id,city\n1,a\n2\n3,\xff\n4,".as_slice(),
        large.as_bytes(),
        b"\n\"5\n\",b\n",
    ]
    .concat();
    let problem = |text: &str| Err(text.to_owned());
    assert_eq!(
        read("a.csv", &file, Options::default()).await,
        [
            (1, Ok(r#"{"id":"1","city":"a"}"#.to_owned())),
            (
                2,
                problem("line 3: the row does not have as many columns (1) as are named (2)")
            ),
            (3, problem("line 4: the row is not UTF-8 in column 2 \"city\"")),
            (
                4,
                problem("line 5: the row is larger than 1048576 bytes; is a quote missing?")
            ),
            (5, Ok(r#"{"id":"5\n","city":"b"}"#.to_owned())),
        ]
    );
    let most = format!("{{\"a\":\"{}\"}}", "x".repeat(ROW_BYTES_MAX - 8));
    let lines = format!("{most}\n{{\n{most}x\n{{\"b\":2}}");
    assert_eq!(
        read("a.ndjson", lines.as_bytes(), Options::default()).await,
        [
            (1, Ok(most.clone())),
            // Whether it is JSON is for the mapping to say.
            (2, Ok("{".to_owned())),
            (3, problem("line 3: the record is larger than 1048576 bytes")),
            (4, Ok("{\"b\":2}".to_owned())),
        ]
    );
}
