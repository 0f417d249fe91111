//! Makes files as `torch.save` does, and wrong ones.

/// A pickle that grows instruction by instruction.
#[derive(Clone, Default)]
pub(super) struct Code(pub(super) Vec<u8>);

impl Code {
    /// Protocol 2.
    pub(super) fn new() -> Code {
        Code(vec![0x80, 2])
    }

    /// Instructions as they are.
    pub(super) fn raw(mut self, bytes: &[u8]) -> Code {
        self.0.extend(bytes);
        self
    }

    /// BINUNICODE.
    pub(super) fn text(self, text: &str) -> Code {
        self.raw(b"X").raw(&(text.len() as u32).to_le_bytes()).raw(text.as_bytes())
    }

    /// BININT.
    pub(super) fn int(self, number: i32) -> Code {
        self.raw(b"J").raw(&number.to_le_bytes())
    }

    /// LONG1 of 8 bytes.
    pub(super) fn long(self, number: i64) -> Code {
        self.raw(&[0x8a, 8]).raw(&number.to_le_bytes())
    }

    /// GLOBAL.
    pub(super) fn global(self, module: &str, name: &str) -> Code {
        self.raw(format!("c{module}\n{name}\n").as_bytes())
    }

    /// A tuple of integers.
    pub(super) fn ints(self, numbers: &[i64]) -> Code {
        numbers.iter().fold(self.raw(b"("), |code, number| code.long(*number)).raw(b"t")
    }

    /// A storage.
    pub(super) fn storage(self, class: &str, key: &str, len: i64) -> Code {
        let id = self.raw(b"(").text("storage").global("torch", class).text(key).text("cpu").long(len);
        id.raw(b"tQ")
    }

    /// A view of the storage "0" of 6 floats.
    pub(super) fn view(self, offset: i64, shape: &[i64], strides: &[i64]) -> Code {
        let call = self.global("torch._utils", "_rebuild_tensor_v2").raw(b"(").storage("FloatStorage", "0", 6);
        call.long(offset).ints(shape).ints(strides).raw(b"\x89").global("collections", "OrderedDict").raw(b")RtR")
    }

    /// A vector of 6 floats: all of the storage "0".
    pub(super) fn tensor(self) -> Code {
        self.view(0, &[6], &[1])
    }

    /// A dict with one pair, whose value `value` writes.
    pub(super) fn dict(self, key: &str, value: impl FnOnce(Code) -> Code) -> Code {
        value(self.raw(b"}").text(key)).raw(b"s")
    }

    /// STOP.
    pub(super) fn stop(self) -> Vec<u8> {
        self.raw(b".").0
    }

    /// STOP, in a file with the storage "0".
    pub(super) fn file(self) -> Vec<u8> {
        let values: Vec<u8> = (0..6).flat_map(|value| (value as f32).to_le_bytes()).collect();
        Zip::default().record("archive/data.pkl", &self.stop()).record("archive/data/0", &values).build()
    }
}

/// A zip file of stored records.
#[derive(Clone, Default)]
pub(super) struct Zip {
    pub(super) records: Vec<Record>,
    /// What is written instead of the number of records, the directory's size and its place.
    pub(super) count: Option<u16>,
    pub(super) size: Option<u32>,
    pub(super) start: Option<u32>,
    pub(super) comment: Vec<u8>,
}

/// A record of a zip file, and what the directory says about it.
#[derive(Clone)]
pub(super) struct Record {
    pub(super) name: String,
    pub(super) data: Vec<u8>,
    pub(super) flags: u16,
    pub(super) method: u16,
    /// What is written instead of the two sizes, and instead of the header's place.
    pub(super) sizes: Option<(u32, u32)>,
    pub(super) header: Option<u32>,
    /// Extra fields in the directory.
    pub(super) extra: Vec<u8>,
}

impl Zip {
    pub(super) fn record(mut self, name: &str, data: &[u8]) -> Zip {
        let (name, data) = (name.to_string(), data.to_vec());
        self.records.push(Record { name, data, flags: 0, method: 0, sizes: None, header: None, extra: Vec::new() });
        self
    }

    /// Changes the last record.
    pub(super) fn with(mut self, change: impl FnOnce(&mut Record)) -> Zip {
        change(self.records.last_mut().expect("a record"));
        self
    }

    pub(super) fn build(&self) -> Vec<u8> {
        let (mut file, mut directory) = (Vec::new(), Vec::new());
        for record in &self.records {
            let name_len = (record.name.len() as u16).to_le_bytes();
            let header = record.header.unwrap_or(file.len() as u32);
            file.extend(b"PK\x03\x04");
            file.extend([0; 22]);
            file.extend(name_len);
            file.extend(3_u16.to_le_bytes());
            file.extend(record.name.as_bytes());
            // Extra fields of the local header have any length.
            file.extend([0; 3]);
            file.extend(&record.data);
            let (compressed, size) = record.sizes.unwrap_or((record.data.len() as u32, record.data.len() as u32));
            directory.extend(b"PK\x01\x02\0\0\0\0");
            directory.extend(record.flags.to_le_bytes());
            directory.extend(record.method.to_le_bytes());
            directory.extend([0; 8]);
            directory.extend(compressed.to_le_bytes());
            directory.extend(size.to_le_bytes());
            directory.extend(name_len);
            directory.extend((record.extra.len() as u16).to_le_bytes());
            directory.extend([0; 10]);
            directory.extend(header.to_le_bytes());
            directory.extend(record.name.as_bytes());
            directory.extend(&record.extra);
        }
        let (start, size) = (file.len() as u32, directory.len() as u32);
        let count = self.count.unwrap_or(self.records.len() as u16).to_le_bytes();
        file.extend(directory);
        file.extend(b"PK\x05\x06\0\0\0\0");
        file.extend(count);
        file.extend(count);
        file.extend(self.size.unwrap_or(size).to_le_bytes());
        file.extend(self.start.unwrap_or(start).to_le_bytes());
        file.extend((self.comment.len() as u16).to_le_bytes());
        file.extend(&self.comment);
        file
    }
}
