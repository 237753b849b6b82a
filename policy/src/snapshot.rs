use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use crate::ages::{Ages, Kept};
use crate::arm_sums::ArmSums;
use crate::bytes::{Reader, Writer};
use crate::digest::sha256_hex;
use crate::memory::Part;
use crate::reward_state::Inheritance;
use crate::triangle::packed_length;
use crate::window::{Remembered, Window};
use crate::{
    DrawKey, FeatureSchema, Features, LinearModel, Memory, PendingDecision, Policy, PolicySpec,
    RewardState, SnapshotError, SnapshotKey, StateError,
};

/// A [`Learner`](crate::Learner) at rest, with the policy that was published from it.
///
/// As bytes: eight bytes of magic, the format (u32), the length of the content (u64), the content,
/// and the SHA-256 of all before; then, if it is signed, 32 bytes of HMAC-SHA-256 (RFC 2104) over all before that. All
/// numbers are little-endian; floats are kept bit for bit.
///
/// Format 2 added retired arms, the reward model, the golden vectors and the signature; format 3 sums that are told
/// apart by age, replicate and kind of client; format 4 the latest decisions one by one. Older formats are read for ever.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// The format it was read from or will be written in; [`Snapshot::FORMAT`] for new ones.
    pub format: u32,
    /// The hash of the feature schema under which the state was learned.
    pub schema_hash: String,
    /// The policy published from this state.
    pub spec: PolicySpec,
    /// Its version.
    pub version: u64,
    /// The sequence number of the last log entry consumed.
    pub through: u64,
    /// What was learned.
    pub state: RewardState,
    /// The decisions that still wait for their reward, by ascending id.
    pub pending: Vec<PendingDecision>,
    /// How many may wait.
    pub pending_max: usize,
    /// How many had been dropped for want of room.
    pub evicted: u64,
    /// The reward model that the policy decides by, if that is not the ridge over `state`.
    pub model: Option<LinearModel>,
    /// Decisions that whoever loads the snapshot must come to as well.
    pub golden: Vec<GoldenVector>,
}

/// A context, and the probabilities that the policy gives the known arms in it.
#[derive(Debug, Clone, PartialEq)]
pub struct GoldenVector {
    /// The context.
    pub features: Features,
    /// The arms, sorted.
    pub arms: Vec<String>,
    /// Their probabilities, bit for bit.
    pub probabilities: Vec<f64>,
}

impl Snapshot {
    /// The newest format, and the one written.
    pub const FORMAT: u32 = 4;

    /// The snapshot as bytes, always in format [`Snapshot::FORMAT`].
    pub fn to_bytes(&self) -> Vec<u8> {
        let content = self.write();
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&Self::FORMAT.to_le_bytes());
        bytes.extend_from_slice(&(content.len() as u64).to_le_bytes());
        bytes.extend_from_slice(&content);
        let digest = Sha256::digest(&bytes);
        bytes.extend_from_slice(&digest);
        bytes
    }

    /// The snapshot as signed bytes.
    pub fn to_signed_bytes(&self, key: &SnapshotKey) -> Vec<u8> {
        let mut bytes = self.to_bytes();
        let signature = key.sign(&bytes);
        bytes.extend_from_slice(&signature);
        bytes
    }

    /// Whether the bytes of a snapshot carry a signature by this key.
    ///
    /// # Errors
    /// [`SnapshotError::Unsigned`], [`SnapshotError::Signature`], or what is wrong with the bytes.
    pub fn check_signature(bytes: &[u8], key: &SnapshotKey) -> Result<(), SnapshotError> {
        let (_, _, signature) = parts(bytes)?;
        let signature = signature.ok_or(SnapshotError::Unsigned)?;
        let signed = &bytes[..bytes.len() - SIGNATURE];
        if key.verify(signed, signature) {
            Ok(())
        } else {
            Err(SnapshotError::Signature)
        }
    }

    /// The same snapshot with golden vectors: contexts that follow from the schema alone, and what the policy makes of
    /// them.
    ///
    /// # Errors
    /// [`SnapshotError::Policy`] if no policy can be built from it.
    pub fn with_golden_vectors(mut self) -> Result<Self, SnapshotError> {
        let policy = Policy::of_snapshot(&self, self.version).map_err(SnapshotError::Policy)?;
        let mut arms: Vec<String> = self.state.arms().map(str::to_owned).collect();
        arms.extend(
            self.model
                .iter()
                .flat_map(|model| model.arms.keys().cloned()),
        );
        arms.sort();
        arms.dedup();
        self.golden.clear();
        if arms.is_empty() {
            return Ok(self);
        }
        for index in 0..GOLDEN_VECTORS {
            let features = golden_context(self.state.schema(), index);
            let probabilities = decided(&policy, &features, &arms, index)?;
            self.golden.push(GoldenVector {
                features,
                arms: arms.clone(),
                probabilities,
            });
        }
        Ok(self)
    }

    /// The policy that the snapshot holds, if it decides here as it did where the snapshot was written.
    ///
    /// # Errors
    /// [`SnapshotError::Policy`] if none can be built, [`SnapshotError::Golden`] if it decides otherwise.
    pub fn policy(&self, version: u64) -> Result<Policy, SnapshotError> {
        let policy = Policy::of_snapshot(self, version).map_err(SnapshotError::Policy)?;
        for (index, golden) in self.golden.iter().enumerate() {
            let probabilities = decided(&policy, &golden.features, &golden.arms, index)?;
            let same = |(a, b): (&f64, &f64)| a.to_bits() == b.to_bits();
            if !probabilities.iter().zip(&golden.probabilities).all(same) {
                return Err(SnapshotError::Golden(index));
            }
        }
        Ok(policy)
    }

    /// Reads a snapshot, trusting nothing in it. A signature is passed over: [`Snapshot::check_signature`] asks for it.
    ///
    /// # Errors
    /// If the bytes are cut, foreign, of a newer format, changed, or hold anything that no learner
    /// could have written; see [`SnapshotError`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SnapshotError> {
        let (format, content, _) = parts(bytes)?;
        let mut reader = Reader::new(content);
        let snapshot = read(&mut reader, format)?;
        if reader.is_empty() {
            Ok(snapshot)
        } else {
            Err(SnapshotError::Malformed("content follows the end"))
        }
    }

    /// Whether the snapshot can go on under this schema.
    ///
    /// # Errors
    /// If it was made under another one.
    pub fn check_schema(&self, schema: &FeatureSchema) -> Result<(), SnapshotError> {
        same_schema(schema, &self.schema_hash)
    }

    /// The SHA-256 of the bytes, in hexadecimal, as a log names the snapshot.
    pub fn sha256(bytes: &[u8]) -> String {
        sha256_hex(bytes)
    }

    fn write(&self) -> Vec<u8> {
        let mut writer = Writer::default();
        let schema = self.state.schema();
        writer.u64(schema.dimension as u64);
        writer.u64(u64::from(schema.version));
        writer.text(&self.schema_hash);
        writer.text(&self.spec.to_string());
        writer.u64(self.version);
        writer.u64(self.through);
        writer.u64(self.pending_max as u64);
        writer.u64(self.evicted);
        write_memory(&mut writer, self.state.memory());
        writer.i64(self.state.now_ms());
        writer.u64(self.state.ages().len() as u64);
        for (arm, ages) in self.state.ages() {
            write_ages(&mut writer, arm, ages);
        }
        write_window(&mut writer, self.state.window());
        writer.u64(self.state.lineage().len() as u64);
        for (arm, Inheritance { from, widen }) in self.state.lineage() {
            writer.text(arm);
            writer.text(from);
            writer.f64s(&[*widen]);
        }
        writer.u64(self.pending.len() as u64);
        for decision in &self.pending {
            write_pending(&mut writer, decision);
        }
        writer.u64(self.state.retired().len() as u64);
        for arm in self.state.retired() {
            writer.text(arm);
        }
        writer.u8(u8::from(self.model.is_some()));
        if let Some(model) = &self.model {
            model.write(&mut writer);
        }
        writer.u64(self.golden.len() as u64);
        for vector in &self.golden {
            write_golden(&mut writer, vector);
        }
        writer.0
    }
}

fn write_memory(writer: &mut Writer, memory: &Memory) {
    // No half-life is shorter than a millisecond.
    writer.i64(memory.half_life_ms.unwrap_or(0));
    writer.u64(memory.arms.len() as u64);
    for (arm, half_life) in &memory.arms {
        writer.text(arm);
        writer.i64(*half_life);
    }
    writer.u64(u64::from(memory.replicates));
    writer.u8(u8::from(memory.by_stratum));
    writer.u8(u8::from(memory.counts_decisions));
    writer.u64(u64::from(memory.window));
}

fn write_window(writer: &mut Writer, window: &Window) {
    writer.u64(window.len() as u64);
    for ((at_ms, id), decision) in window.entries() {
        writer.i64(at_ms);
        writer.u128(id);
        writer.text(&decision.arm);
        writer.f32s(decision.features.as_slice());
        writer.u8(u8::from(decision.reward.is_some()));
        writer.f64s(&[decision.reward.unwrap_or(0.0)]);
    }
}

fn write_ages(writer: &mut Writer, arm: &str, ages: &Ages) {
    writer.text(arm);
    writer.u64(ages.parts().len() as u64);
    for (part, kept) in ages.parts() {
        writer.i64(part.epoch);
        writer.u64(u64::from(part.stratum));
        writer.u64(kept.decisions);
        for sums in &kept.sums {
            write_sums(writer, sums);
        }
    }
}

fn write_sums(writer: &mut Writer, sums: &ArmSums) {
    writer.u64(sums.count);
    writer.f64s(&[sums.reward, sums.reward_squared]);
    writer.f64s(&sums.x);
    writer.f64s(&sums.xr);
    writer.f64s(&sums.xx);
}

fn write_pending(writer: &mut Writer, decision: &PendingDecision) {
    writer.u128(decision.id);
    writer.i64(decision.at_ms);
    writer.text(&decision.arm);
    writer.f32s(decision.features.as_slice());
    writer.u64(u64::from(decision.stratum));
    writer.f64s(&[decision.cost]);
    writer.u8(u8::from(decision.reward.is_some()));
    writer.f64s(&[decision.reward.unwrap_or(0.0)]);
}

fn write_golden(writer: &mut Writer, vector: &GoldenVector) {
    writer.f32s(vector.features.as_slice());
    writer.u64(vector.arms.len() as u64);
    for arm in &vector.arms {
        writer.text(arm);
    }
    writer.f64s(&vector.probabilities);
}

/// What the policy makes of a context, without any draw but those that the index keys.
fn decided(
    policy: &Policy,
    features: &Features,
    arms: &[String],
    index: usize,
) -> Result<Vec<f64>, SnapshotError> {
    let arms: Vec<&str> = arms.iter().map(String::as_str).collect();
    let key = DrawKey {
        seed: 0,
        decision: index as u128,
    };
    let choice = policy
        .decide(features, &arms, key)
        .map_err(SnapshotError::Policy)?;
    Ok(choice.distribution.probabilities().to_vec())
}

/// A context that follows from the schema and a number: half of the features are set, the first always.
fn golden_context(schema: &FeatureSchema, index: usize) -> Features {
    let value = |place: usize| {
        let digest = Sha256::digest(format!("golden {index} {place}"));
        let grid = f32::from(i16::from_le_bytes([digest[0], digest[1]]) >> 3) / 4096.0;
        match place {
            0 => 1.0,
            _ if digest[2] < 128 => grid,
            _ => 0.0,
        }
    };
    let values = (0..schema.dimension).map(value).collect();
    Features::from_logged(values, schema).expect("multiples of 1/4096 in [-1, 1]")
}

/// Format, content between header and checksum, and signature.
type Parts<'a> = (u32, &'a [u8], Option<&'a [u8; SIGNATURE]>);

fn parts(bytes: &[u8]) -> Result<Parts<'_>, SnapshotError> {
    let actual = bytes.len() as u64;
    let prefix = bytes.len().min(MAGIC.len());
    if bytes[..prefix] != MAGIC[..prefix] {
        return Err(SnapshotError::Foreign);
    }
    let smallest = (HEADER + CHECKSUM) as u64;
    let cut = |needed| SnapshotError::Truncated { needed, actual };
    let Some((header, rest)) = bytes.split_first_chunk::<HEADER>() else {
        return Err(cut(smallest));
    };
    let mut fields = Reader::new(&header[MAGIC.len()..]);
    let (format, length) = (fields.u32()?, fields.u64()?);
    if format > Snapshot::FORMAT {
        let newest = Snapshot::FORMAT;
        return Err(SnapshotError::Newer { format, newest });
    }
    if format == 0 {
        return Err(SnapshotError::Foreign);
    }
    let declared = length.saturating_add(smallest);
    if actual < declared {
        return Err(cut(declared));
    }
    let (rest, signature) = match rest.split_last_chunk::<SIGNATURE>() {
        Some((rest, signature)) if format > 1 && actual == declared + SIGNATURE as u64 => {
            (rest, Some(signature))
        }
        _ if actual > declared => return Err(SnapshotError::Trailing { declared, actual }),
        _ => (rest, None),
    };
    let (content, checksum) = rest.split_at(rest.len() - CHECKSUM);
    if Sha256::digest(&bytes[..HEADER + content.len()])[..] != *checksum {
        return Err(SnapshotError::Checksum);
    }
    Ok((format, content, signature))
}

fn read(reader: &mut Reader<'_>, format: u32) -> Result<Snapshot, SnapshotError> {
    let schema = read_schema(reader)?;
    let schema_hash = reader.text()?.to_owned();
    same_schema(&schema, &schema_hash)?;
    let spec = reader.text()?.parse()?;
    let (version, through) = (reader.u64()?, reader.u64()?);
    let pending_max = usize::try_from(reader.u64()?).unwrap_or(usize::MAX);
    let evicted = reader.u64()?;
    let mut state = read_state(reader, schema, format)?;
    let pending = read_all_pending(reader, &schema, pending_max, format)?;
    let (mut model, mut golden) = (None, Vec::new());
    if format > 1 {
        for _ in 0..reader.u64()? {
            state.retire(reader.text()?);
        }
        model = match reader.u8()? {
            0 => None,
            1 => Some(LinearModel::read(reader, schema.dimension)?),
            _ => return Err(SnapshotError::Malformed("the flag of the reward model")),
        };
        for _ in 0..reader.u64()? {
            golden.push(read_golden(reader, &schema)?);
        }
    }
    Ok(Snapshot {
        format,
        schema_hash,
        spec,
        version,
        through,
        state,
        pending,
        pending_max,
        evicted,
        model,
        golden,
    })
}

fn read_golden(
    reader: &mut Reader<'_>,
    schema: &FeatureSchema,
) -> Result<GoldenVector, SnapshotError> {
    let features = Features::from_logged(reader.f32s(schema.dimension)?, schema)
        .map_err(|_| SnapshotError::Number("a golden vector".to_owned()))?;
    let mut arms = Vec::new();
    for _ in 0..reader.u64()? {
        arms.push(reader.text()?.to_owned());
    }
    let probabilities = reader.f64s(arms.len())?;
    let is_probability = |p: &f64| (0.0..=1.0).contains(p);
    if arms.is_empty() || !probabilities.iter().all(is_probability) {
        return Err(SnapshotError::Malformed(
            "a golden vector without arms or with no probabilities",
        ));
    }
    Ok(GoldenVector {
        features,
        arms,
        probabilities,
    })
}

fn read_schema(reader: &mut Reader<'_>) -> Result<FeatureSchema, SnapshotError> {
    let dimension = reader.u64()?;
    if dimension == 0 || dimension > FeatureSchema::DIMENSION_MAX as u64 {
        return Err(SnapshotError::Dimension(dimension));
    }
    let version = u32::try_from(reader.u64()?)
        .map_err(|_| SnapshotError::Malformed("the schema's version is out of range"))?;
    Ok(FeatureSchema {
        dimension: usize::try_from(dimension).expect("at most DIMENSION_MAX"),
        version,
    })
}

fn same_schema(schema: &FeatureSchema, actual: &str) -> Result<(), SnapshotError> {
    let expected = schema.hash();
    if expected == actual {
        return Ok(());
    }
    let older = schema.older().find(|older| older.hash() == actual);
    Err(SnapshotError::Schema {
        expected,
        actual: actual.to_owned(),
        older: older.map(|older| older.version),
    })
}

fn read_state(
    reader: &mut Reader<'_>,
    schema: FeatureSchema,
    format: u32,
) -> Result<RewardState, SnapshotError> {
    let (memory, now_ms) = if format > 2 {
        (read_memory(reader, format)?, reader.i64()?)
    } else {
        (Memory::default(), 0)
    };
    let mut arms = BTreeMap::new();
    for _ in 0..reader.u64()? {
        let arm = reader.text()?.to_owned();
        let ages = if format > 2 {
            read_ages(reader, &memory, schema.dimension)?
        } else {
            Ages::plain(read_sums(reader, schema.dimension)?)
        };
        let mut sums = ages.parts().values().flat_map(|kept| &kept.sums);
        if !sums.all(ArmSums::is_finite) {
            return Err(SnapshotError::Number(format!("the sums of arm {arm}")));
        }
        if arms.insert(arm, ages).is_some() {
            return Err(SnapshotError::Malformed("an arm stands twice"));
        }
    }
    let window = if format > 3 {
        read_window(reader, &schema)?
    } else {
        Window::default()
    };
    let mut lineage = BTreeMap::new();
    for _ in 0..reader.u64()? {
        let arm = reader.text()?.to_owned();
        let (from, widen) = (reader.text()?.to_owned(), reader.f64()?);
        if lineage.insert(arm, Inheritance { from, widen }).is_some() {
            return Err(SnapshotError::Malformed("an arm inherits twice"));
        }
    }
    let state = RewardState::from_parts(schema, memory, now_ms, arms, &lineage);
    let state = state.and_then(|state| state.with_window(window));
    state.map_err(|error| match error {
        StateError::Widen(widen) => SnapshotError::Number(format!("widening factor {widen}")),
        StateError::InheritsItself(_) => SnapshotError::Malformed("an arm inherits from itself"),
        _ => SnapshotError::Malformed("the sums of an arm without events"),
    })
}

fn read_memory(reader: &mut Reader<'_>, format: u32) -> Result<Memory, SnapshotError> {
    let flag = |value: u8| match value {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(SnapshotError::Malformed("a flag of what is told apart")),
    };
    let half_life = |value: i64| {
        if (0..=HALF_LIFE_MOST).contains(&value) {
            Ok(value)
        } else {
            Err(SnapshotError::Number(format!("half-life {value}")))
        }
    };
    let half_life_ms = Some(half_life(reader.i64()?)?).filter(|value| *value > 0);
    let mut arms = BTreeMap::new();
    for _ in 0..reader.u64()? {
        let arm = reader.text()?.to_owned();
        arms.insert(arm, half_life(reader.i64()?)?.max(1));
    }
    let replicates = u32::try_from(reader.u64()?).ok();
    Ok(Memory {
        half_life_ms,
        arms,
        replicates: replicates
            .filter(|replicates| *replicates <= REPLICATES_MOST)
            .ok_or(SnapshotError::Malformed(
                "more replicates than there can be",
            ))?,
        by_stratum: flag(reader.u8()?)?,
        counts_decisions: flag(reader.u8()?)?,
        window: if format > 3 {
            let window = u32::try_from(reader.u64()?).ok();
            window
                .filter(|window| *window <= WINDOW_MOST)
                .ok_or(SnapshotError::Malformed(
                    "a window longer than there can be",
                ))?
        } else {
            0
        },
    })
}

fn read_window(reader: &mut Reader<'_>, schema: &FeatureSchema) -> Result<Window, SnapshotError> {
    let mut window = Window::default();
    for _ in 0..reader.u64()? {
        let (at_ms, id) = (reader.i64()?, reader.u128()?);
        let number = |what: &str| SnapshotError::Number(format!("{what} of decision {id:032x}"));
        let arm = reader.text()?.to_owned();
        let features = Features::from_logged(reader.f32s(schema.dimension)?, schema)
            .map_err(|_| number("a feature"))?;
        let (has_reward, reward) = (reader.u8()?, reader.f64()?);
        let reward = match has_reward {
            0 if reward.to_bits() == 0 => None,
            1 => Some(RewardState::reward_on_grid(reward).map_err(|_| number("the reward"))?),
            _ => {
                return Err(SnapshotError::Malformed(
                    "the flag of a reward does not fit it",
                ));
            }
        };
        let decision = Remembered {
            arm,
            features,
            reward,
        };
        if !window.insert((at_ms, id), decision) {
            return Err(SnapshotError::Malformed(
                "one of the latest decisions stands twice",
            ));
        }
    }
    Ok(window)
}

fn read_ages(
    reader: &mut Reader<'_>,
    memory: &Memory,
    dimension: usize,
) -> Result<Ages, SnapshotError> {
    let mut ages = Ages::default();
    for _ in 0..reader.u64()? {
        let epoch = reader.i64()?;
        let stratum = u32::try_from(reader.u64()?)
            .map_err(|_| SnapshotError::Malformed("a kind of client that there is not"))?;
        let decisions = reader.u64()?;
        let mut sums = Vec::new();
        for _ in 0..=memory.replicates {
            sums.push(read_sums(reader, dimension)?);
        }
        if !ages.insert(Part { epoch, stratum }, Kept { decisions, sums }) {
            return Err(SnapshotError::Malformed("a part of an arm stands twice"));
        }
    }
    Ok(ages)
}

fn read_sums(reader: &mut Reader<'_>, dimension: usize) -> Result<ArmSums, SnapshotError> {
    Ok(ArmSums {
        count: reader.u64()?,
        reward: reader.f64()?,
        reward_squared: reader.f64()?,
        x: reader.f64s(dimension)?,
        xr: reader.f64s(dimension)?,
        xx: reader.f64s(packed_length(dimension))?,
    })
}

fn read_all_pending(
    reader: &mut Reader<'_>,
    schema: &FeatureSchema,
    pending_max: usize,
    format: u32,
) -> Result<Vec<PendingDecision>, SnapshotError> {
    let count = reader.u64()?;
    if pending_max == 0 || count > pending_max as u64 {
        return Err(SnapshotError::Malformed("more decisions wait than may"));
    }
    let mut all: Vec<PendingDecision> = Vec::new();
    for _ in 0..count {
        let decision = read_pending(reader, schema, format)?;
        if all.last().is_some_and(|last| last.id >= decision.id) {
            return Err(SnapshotError::Malformed("waiting decisions out of order"));
        }
        all.push(decision);
    }
    Ok(all)
}

fn read_pending(
    reader: &mut Reader<'_>,
    schema: &FeatureSchema,
    format: u32,
) -> Result<PendingDecision, SnapshotError> {
    let (id, at_ms) = (reader.u128()?, reader.i64()?);
    let arm = reader.text()?.to_owned();
    let number = |what: &str| SnapshotError::Number(format!("{what} of decision {id:032x}"));
    let features = Features::from_logged(reader.f32s(schema.dimension)?, schema)
        .map_err(|_| number("a feature"))?;
    let stratum = if format > 2 { reader.u64()? } else { 0 };
    let stratum = u32::try_from(stratum).map_err(|_| number("the kind of client"))?;
    let cost = if format > 2 { reader.f64()? } else { 0.0 };
    if !(cost.is_finite() && cost >= 0.0) {
        return Err(number("the cost"));
    }
    let (has_reward, reward) = (reader.u8()?, reader.f64()?);
    let reward = match has_reward {
        0 if reward.to_bits() == 0 => None,
        1 => match RewardState::reward_on_grid(reward) {
            Ok(rounded) if rounded.to_bits() == reward.to_bits() => Some(reward),
            _ => return Err(number("the reward")),
        },
        _ => {
            return Err(SnapshotError::Malformed(
                "the flag of a reward does not fit it",
            ));
        }
    };
    Ok(PendingDecision {
        id,
        at_ms,
        arm,
        features,
        stratum,
        cost,
        reward,
    })
}

const MAGIC: [u8; 8] = *b"ECHOPOL\n";
const HEADER: usize = 8 + 4 + 8;
const CHECKSUM: usize = 32;
pub(crate) const SIGNATURE: usize = 32;

/// A thousand years.
const HALF_LIFE_MOST: i64 = 1_000 * 366 * 86_400_000;

/// More than any policy asks for.
const WINDOW_MOST: u32 = 1_000_000;
const REPLICATES_MOST: u32 = 4_096;

/// Enough to notice another arithmetic, few enough to cost no time.
const GOLDEN_VECTORS: usize = 8;
