#[test]
fn generate() {
    let directory = tempfile::TempDir::new().unwrap();
    let (log, _) = crate::samples::open(directory.path());
    let out = std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/v1");
    std::fs::create_dir_all(&out).unwrap();
    for record in crate::samples::one_of_each() {
        let line = serde_json::to_string(&record).unwrap();
        std::fs::write(out.join(format!("{}.json", record.kind())), line + "\n").unwrap();
        log.append(record).wait().unwrap();
    }
    log.close().unwrap();
    for f in crate::samples::segment_files(directory.path()) {
        let kind = f.file_name().unwrap().to_str().unwrap().split('-').next().unwrap().to_owned();
        std::fs::copy(&f, out.join(format!("{kind}.parquet"))).unwrap();
    }
}
