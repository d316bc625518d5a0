//! Files as others write them, in pieces of any size.

mod avro;
mod braze;
mod broken;
mod csv;
mod packed;

use std::io::{self, Write};

use ::zip::write::SimpleFileOptions;
use ::zip::{CompressionMethod, ZipWriter};
use async_compression::tokio::bufread::GzipEncoder;
use bytes::Bytes;
use futures::stream;
use tokio::io::AsyncReadExt;
use tokio_util::io::StreamReader;

use super::*;

/// A row in short: its number, and its record or why it is none.
type Short = (u64, Result<String, String>);

/// The rows of a file that arrives in pieces, and why it went no further.
async fn read_pieces(name: &str, file: &[u8], piece: usize, options: Options) -> (Vec<Row>, Option<Fault>) {
    let pieces: Vec<_> = file.chunks(piece).map(Bytes::copy_from_slice).map(Ok).collect();
    read_from(name, pieces, options).await
}

async fn read_from(name: &str, pieces: Vec<io::Result<Bytes>>, options: Options) -> (Vec<Row>, Option<Fault>) {
    let mut rows = Vec::new();
    let mut reader = match Reader::open(StreamReader::new(stream::iter(pieces)), name, options).await {
        Ok(reader) => reader,
        Err(fault) => return (rows, Some(fault)),
    };
    loop {
        match reader.next().await {
            Ok(Some(row)) => rows.push(row),
            Ok(None) => return (rows, None),
            Err(fault) => {
                assert!(reader.next().await.unwrap().is_none(), "it goes no further");
                return (rows, Some(fault));
            }
        }
    }
}

fn short(rows: &[Row]) -> Vec<Short> {
    let of = |row: &Row| {
        let [raw] = row.records.as_slice() else {
            panic!("{row:?}")
        };
        let json = String::from_utf8(raw.json.to_vec()).unwrap();
        (row.number, raw.unusable.clone().map_or(Ok(json), Err))
    };
    rows.iter().map(of).collect()
}

/// The rows of a file that is as it should be.
async fn read(name: &str, file: &[u8], options: Options) -> Vec<Short> {
    let (rows, fault) = read_pieces(name, file, 1_000, options).await;
    assert!(fault.is_none(), "{name}: {fault:?}");
    short(&rows)
}

fn good(rows: &[&str]) -> Vec<Short> {
    let rows = (1..).zip(rows);
    rows.map(|(number, row)| (number, Ok((*row).to_owned()))).collect()
}

async fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = Vec::new();
    GzipEncoder::new(bytes).read_to_end(&mut packed).await.unwrap();
    packed
}

fn deflated() -> SimpleFileOptions {
    SimpleFileOptions::default().compression_method(CompressionMethod::Deflated)
}

fn stored() -> SimpleFileOptions {
    SimpleFileOptions::default().compression_method(CompressionMethod::Stored)
}

/// A zip of these files by somebody who could go back: sizes stand before each.
fn zip(files: &[(&str, &[u8])], options: SimpleFileOptions) -> Vec<u8> {
    let mut writer = ZipWriter::new(io::Cursor::new(Vec::new()));
    for (name, bytes) in files {
        writer.start_file(*name, options).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// A zip of these files by somebody who could not go back: sizes stand behind each.
fn zip_in_one_go(files: &[(&str, &[u8])], options: SimpleFileOptions) -> Vec<u8> {
    let mut zip = Vec::new();
    let mut writer = ZipWriter::new_stream(&mut zip);
    for (name, bytes) in files {
        writer.start_file(*name, options).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap();
    zip
}
