//! Records as typed columns, and back.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, RecordBatch, UInt64Array};
use arrow_schema::{DataType, Field, FieldRef, Schema};
use serde::{Deserialize, Serialize};
use serde_arrow::schema::{SchemaLike, TracingOptions};

use crate::record::{Entry, Kind};
use crate::schema::v1::{
    ConfigurationChanged, Decision, Event, Evidence, ModelPublished, PolicyPublished, Record,
    Served,
};

/// The first column of every file: the sequence number.
pub(crate) const SEQ: &str = "seq";

/// The columns of one kind of record, `seq` first.
pub(crate) fn schema(kind: Kind) -> Result<Arc<Schema>, String> {
    let mut fields = vec![Arc::new(Field::new(SEQ, DataType::UInt64, false))];
    fields.extend(match kind {
        Kind::Decision => fields_of::<Decision>(),
        Kind::Served => fields_of::<Served>(),
        Kind::Evidence => fields_of::<Evidence>(),
        Kind::Event => fields_of::<Event>(),
        Kind::PolicyPublished => fields_of::<PolicyPublished>(),
        Kind::ModelPublished => fields_of::<ModelPublished>(),
        Kind::ConfigurationChanged => fields_of::<ConfigurationChanged>(),
    }?);
    Ok(Arc::new(Schema::new(fields)))
}

/// The entries of `kind` as columns of its `schema`; entries of other kinds are left out.
pub(crate) fn encode(
    kind: Kind,
    schema: &Arc<Schema>,
    entries: &[Entry],
) -> Result<RecordBatch, String> {
    match kind {
        Kind::Decision => encode_as::<Decision>(schema, entries),
        Kind::Served => encode_as::<Served>(schema, entries),
        Kind::Evidence => encode_as::<Evidence>(schema, entries),
        Kind::Event => encode_as::<Event>(schema, entries),
        Kind::PolicyPublished => encode_as::<PolicyPublished>(schema, entries),
        Kind::ModelPublished => encode_as::<ModelPublished>(schema, entries),
        Kind::ConfigurationChanged => encode_as::<ConfigurationChanged>(schema, entries),
    }
}

/// The entries in the columns of `kind`; unknown columns are ignored, absent optional ones empty.
pub(crate) fn decode(kind: Kind, columns: &RecordBatch) -> Result<Vec<Entry>, String> {
    match kind {
        Kind::Decision => decode_as::<Decision>(columns),
        Kind::Served => decode_as::<Served>(columns),
        Kind::Evidence => decode_as::<Evidence>(columns),
        Kind::Event => decode_as::<Event>(columns),
        Kind::PolicyPublished => decode_as::<PolicyPublished>(columns),
        Kind::ModelPublished => decode_as::<ModelPublished>(columns),
        Kind::ConfigurationChanged => decode_as::<ConfigurationChanged>(columns),
    }
}

/// A struct of the schema as one variant of the record.
trait Body: Serialize + for<'de> Deserialize<'de> {
    fn of(record: &Record) -> Option<&Self>;
    fn into_record(self) -> Record;
}

macro_rules! bodies {
    ($($body:ident),*) => { $(
        impl Body for $body {
            fn of(record: &Record) -> Option<&Self> {
                if let Record::$body(body) = record { Some(body) } else { None }
            }

            fn into_record(self) -> Record {
                Record::$body(self)
            }
        }
    )* };
}

bodies!(
    Decision,
    Served,
    Evidence,
    Event,
    PolicyPublished,
    ModelPublished,
    ConfigurationChanged
);

fn fields_of<T: Body>() -> Result<Vec<FieldRef>, String> {
    let options = TracingOptions::default()
        .strings_as_large_utf8(false)
        .sequence_as_large_list(false);
    Vec::<FieldRef>::from_type::<T>(options).map_err(|error| error.to_string())
}

fn encode_as<T: Body>(schema: &Arc<Schema>, entries: &[Entry]) -> Result<RecordBatch, String> {
    let (seqs, bodies): (Vec<u64>, Vec<&T>) = entries
        .iter()
        .filter_map(|entry| Some((entry.seq, T::of(&entry.record)?)))
        .unzip();
    let bodies = serde_arrow::to_record_batch(&schema.fields()[1..], &bodies)
        .map_err(|error| error.to_string())?;
    let mut columns: Vec<ArrayRef> = vec![Arc::new(UInt64Array::from(seqs))];
    columns.extend_from_slice(bodies.columns());
    RecordBatch::try_new(Arc::clone(schema), columns).map_err(|error| error.to_string())
}

fn decode_as<T: Body>(columns: &RecordBatch) -> Result<Vec<Entry>, String> {
    let seqs = columns
        .column_by_name(SEQ)
        .and_then(|column| column.as_any().downcast_ref::<UInt64Array>())
        .filter(|seqs| seqs.null_count() == 0)
        .ok_or("it has no column of sequence numbers")?;
    // Not the library's message: it may quote the logged text.
    let bodies: Vec<T> = serde_arrow::from_record_batch(columns)
        .map_err(|_| "its columns are not those of the schema")?;
    let entry = |(seq, body): (&u64, T)| Entry {
        seq: *seq,
        record: body.into_record(),
    };
    Ok(seqs.values().iter().zip(bodies).map(entry).collect())
}
