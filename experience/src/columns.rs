//! Records as typed columns, and back.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, RecordBatch, UInt64Array};
use arrow_schema::{DataType, Field, FieldRef, Schema};
use serde::{Deserialize, Serialize};
use serde_arrow::schema::{SchemaLike, TracingOptions};

use crate::record::{Entry, Kind};
use crate::schema::v1::{
    ConfigurationChanged, Decision, Event, Evidence, ModelPublished, PolicyPublished, Record,
    Served, Verdict,
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
        Kind::Verdict => fields_of::<Verdict>(),
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
        Kind::Verdict => encode_as::<Verdict>(schema, entries),
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
        Kind::Verdict => decode_as::<Verdict>(columns),
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
    ConfigurationChanged,
    Verdict
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

#[cfg(test)]
mod tests {
    use arrow_array::StringArray;

    use super::*;

    fn event(seq: u64) -> Entry {
        let record = Record::Event(Event {
            decision: format!("decision {seq}"),
            choice: 0,
            at_ms: -5,
            kind: "accepted".to_owned(),
            accepted_chars: Some(3),
            text: None,
        });
        Entry { seq, record }
    }

    #[test]
    fn old_files_lack_columns_and_newer_ones_have_more() {
        let schema = schema(Kind::Event).unwrap();
        let columns = encode(Kind::Event, &schema, &[event(4), event(9)]).unwrap();
        assert_eq!(decode(Kind::Event, &columns).unwrap(), [event(4), event(9)]);

        let more = StringArray::from(vec!["new", "newer"]);
        let mut fields = schema.fields().to_vec();
        fields.push(Arc::new(Field::new("mood", DataType::Utf8, false)));
        let mut arrays = columns.columns().to_vec();
        arrays.push(Arc::new(more));
        let newer = RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap();
        assert_eq!(decode(Kind::Event, &newer).unwrap(), [event(4), event(9)]);

        let without = |name: &str| {
            let mut columns = columns.clone();
            columns.remove_column(schema.index_of(name).unwrap());
            decode(Kind::Event, &columns)
        };
        let Record::Event(old) = without("accepted_chars").unwrap().remove(0).record else {
            panic!("another kind");
        };
        assert_eq!(
            (old.accepted_chars, old.decision.as_str()),
            (None, "decision 4")
        );
        assert!(without("kind").is_err());
        assert!(without(SEQ).is_err());
    }

    #[test]
    fn every_kind_has_typed_columns_after_its_number() {
        for kind in Kind::ALL {
            let schema = schema(kind).unwrap();
            assert_eq!(
                (
                    schema.field(0).name().as_str(),
                    schema.field(0).is_nullable()
                ),
                (SEQ, false)
            );
            assert!(schema.fields().len() > 4, "{kind}");
        }
        let decision = schema(Kind::Decision).unwrap();
        let of = |name: &str| decision.field_with_name(name).unwrap();
        let list = |item: DataType| match of("features").data_type() {
            DataType::List(field) => *field.data_type() == item,
            _ => false,
        };
        assert!(list(DataType::Float32));
        assert_eq!(
            (of("id").data_type(), of("id").is_nullable()),
            (&DataType::Utf8, false)
        );
        assert_eq!(
            (of("prefix").data_type(), of("prefix").is_nullable()),
            (&DataType::Utf8, true)
        );
        assert_eq!(of("policy_version").data_type(), &DataType::UInt64);
    }
}
