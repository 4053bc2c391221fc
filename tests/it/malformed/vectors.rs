//! The list. `SCRIPT` in what is expected stands for the script's file name.

use super::damage::Damage::{self, *};
use super::damage::Kind::*;
use super::damage::Place::*;
use super::damage::Seal::{self, *};

/// One malformed backup.
pub struct Vector {
    pub name: &'static str,
    pub damage: &'static [Damage],
    pub seal: Seal,
    pub expect: Expect,
}

/// What has to happen, with what has to be said.
pub enum Expect {
    /// `verify` and `restore` both say so, and nothing was written.
    Refused(&'static [&'static str]),
    /// `verify` says so. `restore` fails too, but may learn of it only from the rows, on the way.
    Found(&'static [&'static str]),
    /// `verify` says so. `restore` does not use what is damaged, and brings everything back.
    Beside(&'static [&'static str]),
    /// Only PostgreSQL's own programs can tell, so `restore` fails and says so.
    NotRestored(&'static [&'static str]),
    /// The backup is whole: it is restored, and `verify` ends with this code and says this.
    Harmless(i32, &'static [&'static str]),
}

type Words = &'static [&'static str];

const fn refused(name: &'static str, damage: &'static [Damage], seal: Seal, words: Words) -> Vector {
    Vector { name, damage, seal, expect: Expect::Refused(words) }
}

const fn found(name: &'static str, damage: &'static [Damage], seal: Seal, words: Words) -> Vector {
    Vector { name, damage, seal, expect: Expect::Found(words) }
}

const fn beside(name: &'static str, damage: &'static [Damage], seal: Seal, words: Words) -> Vector {
    Vector { name, damage, seal, expect: Expect::Beside(words) }
}

const fn not_restored(name: &'static str, damage: &'static [Damage], seal: Seal, words: Words) -> Vector {
    Vector { name, damage, seal, expect: Expect::NotRestored(words) }
}

const fn harmless(name: &'static str, damage: &'static [Damage], seal: Seal, code: i32, words: Words) -> Vector {
    Vector { name, damage, seal, expect: Expect::Harmless(code, words) }
}

/// What can happen to a backup of format 2 and to none of format 1.
#[rustfmt::skip]
pub const SECOND: &[Vector] = &[
    harmless("format 2: nothing is wrong", &[], Open, 0, &[]),
    harmless("format 2: nothing is wrong, sealed anew", &[], Whole, 0, &[]),
    refused("format 2: the manifest is cut off", &[Cut("manifest.json", Middle)], Open, &["'manifest.json': not a manifest of format 2: the text ends too early"]),
    refused("format 2: a byte of the manifest that means nothing", &[Insert("manifest.json", FromEnd(0), b"\n")], Open, &["'SHA256SUMS' and 'manifest.json' do not agree"]),
    refused("format 2: a newer format", &[Set("manifest.json", "/format", "3")], Open, &["'manifest.json': format 3 is not known to this version of kluis, which reads formats 1 and 2"]),
    refused("format 2: it says that it is of the first format", &[Set("manifest.json", "/format", "1")], Open, &["'manifest.json': not a manifest of format 1: a field is missing"]),
    refused("format 2: no totals", &[Drop("manifest.json", "/totals")], Open, &["'manifest.json': not a manifest of format 2: a field is missing"]),
    refused("format 2: no files", &[Drop("manifest.json", "/files")], Open, &["'manifest.json': not a manifest of format 2: a field is missing"]),
    refused("format 2: a file above the folder", &[Set("manifest.json", "/files/1/name", "\"../x\"")], Sums, &["'manifest.json': a file has a name that cannot be"]),
    refused("format 2: the contents are not among the files", &[Edit("manifest.json", "\"contents.json\"", "\"other.json\"")], Sums, &["'manifest.json': the contents are not among the files"]),
    refused("format 2: the index is not among the files", &[Edit("manifest.json", "\"units.jsonl\"", "\"other.jsonl\"")], Sums, &["'manifest.json': the index of units is not among the files"]),
    refused("format 2: other totals", &[Set("manifest.json", "/totals/rows", "7")], Sums, &["'contents.json': it is not of the backup that the manifest is of"]),
    refused("format 2: the contents are gone", &[Gone("contents.json")], Open, &["'contents.json' is missing"]),
    refused("format 2: the contents are cut off", &[Cut("contents.json", Middle)], Open, &["'contents.json' has", "bytes instead of"]),
    refused("format 2: a bit of the contents", &[Flip("contents.json", Middle)], Open, &["'contents.json' does not have the SHA-256 that it was written with"]),
    refused("format 2: a link instead of the contents", &[Other("contents.json", Link)], Open, &["'contents.json' is not a regular file"]),
    refused("format 2: a FIFO instead of the contents", &[Other("contents.json", Fifo)], Open, &["'contents.json' is not a regular file"]),
    refused("format 2: the contents are empty, sealed", &[Put("contents.json", b"")], Whole, &["'contents.json': not a manifest of format 2: the text ends too early"]),
    refused("format 2: the contents are cut off, sealed", &[Cut("contents.json", Middle)], Whole, &["'contents.json': not a manifest of format 2: the text ends too early"]),
    refused("format 2: the contents go on, sealed", &[Insert("contents.json", FromEnd(0), b"{}")], Whole, &["'contents.json': not a manifest of format 2: broken JSON"]),
    refused("format 2: the contents are of another format, sealed", &[Set("contents.json", "/format", "1")], Whole, &["'contents.json': it is of format 1, and the manifest of format 2"]),
    refused("format 2: the contents have no tables, sealed", &[Drop("contents.json", "/tables")], Whole, &["'contents.json': not a manifest of format 2: a field is missing"]),
    refused("format 2: a table that is there twice, sealed", &[Set("contents.json", "/tables/1/name", "\"big\"")], Whole, &["'contents.json': table public.big is there twice"]),
    refused("format 2: the contents of another backup, sealed", &[Set("contents.json", "/id", "\"20200101T000000Z\"")], Whole, &["'contents.json': it is not of the backup that the manifest is of"]),
    found("format 2: another digest, sealed", &[Set("contents.json", "/tables/2/digest", "\"00000000000000000000000000000000\"")], Whole, &["table public.small has other content in 'SCRIPT' than in its snapshot"]),
    refused("format 2: a unit without a hash, sealed", &[SetLine("units.jsonl", 1, "sha256", "null")], Whole, &["'units.jsonl': line 2 has no SHA-256"]),
    refused("format 2: a unit whose hash is none, sealed", &[SetLine("units.jsonl", 1, "sha256", "\"c0ffee\"")], Whole, &["'units.jsonl': line 2 is not a unit"]),
    beside("format 2: a unit with another hash, sealed", &[SetLine("units.jsonl", 3, "sha256", "\"0000000000000000000000000000000000000000000000000000000000000000\"")], Whole,
        &["a unit of table public.small at byte", "of 'SCRIPT' does not have the SHA-256 that its index says"]),
];

/// Every other one. What happens to the manifest or the hashes happens to a backup of format 1, where all stands in one file.
#[rustfmt::skip]
pub const VECTORS: &[Vector] = &[
    harmless("nothing is wrong", &[], Open, 0, &[]),
    harmless("nothing is wrong, sealed anew", &[], Whole, 0, &[]),

    // The script, cut off.
    refused("the script is empty", &[Put("SCRIPT", b"")], Open, &["'SCRIPT' has 0 bytes instead of"]),
    refused("the script is gone", &[Gone("SCRIPT")], Open, &["'SCRIPT' is missing"]),
    refused("the script ends in a header", &[Cut("SCRIPT", Header(1))], Open, &["'SCRIPT' has", "bytes instead of"]),
    refused("the script ends in rows", &[Cut("SCRIPT", Rows(1))], Open, &["'SCRIPT' has", "bytes instead of"]),
    refused("the script ends between two units", &[Cut("SCRIPT", After(1))], Open, &["'SCRIPT' has", "bytes instead of"]),
    refused("the script ends before a footer", &[Cut("SCRIPT", BeforeFooter(3))], Open, &["'SCRIPT' has", "bytes instead of"]),
    refused("the script ends before its closing marker", &[Cut("SCRIPT", Before("end"))], Open, &["'SCRIPT' has", "bytes instead of"]),
    refused("the script ends one byte early", &[Cut("SCRIPT", FromEnd(1))], Open, &["'SCRIPT' has", "bytes instead of"]),
    refused("the script ends in a header, sealed", &[Cut("SCRIPT", Header(1))], Whole, &["'units.jsonl': line 2", "the unit does not begin where the one before it ends"]),
    refused("the script ends in rows, sealed", &[Cut("SCRIPT", Rows(1))], Whole, &["'units.jsonl': line 2"]),
    refused("the script ends between two units, sealed", &[Cut("SCRIPT", After(1))], Whole, &["'units.jsonl': line 3"]),
    refused("the script ends before a footer, sealed", &[Cut("SCRIPT", BeforeFooter(3))], Whole, &["'units.jsonl': line 4"]),
    found("the script and its index end between two units, sealed", &[Cut("SCRIPT", After(2)), Lines("units.jsonl", &[0, 1, 2])], Whole,
        &["table public.small has 0 rows in 'SCRIPT' instead of 3", "'SCRIPT' does not end with its closing marker"]),
    beside("the script ends before its closing marker, sealed", &[Cut("SCRIPT", Before("end"))], Whole, &["'SCRIPT' does not end with its closing marker"]),
    beside("the script ends in its closing marker, sealed", &[Cut("SCRIPT", In("end"))], Whole, &["section 'end' of 'SCRIPT' is damaged"]),
    beside("the script ends in its indexes, sealed", &[Cut("SCRIPT", In("post-data"))], Whole, &["section 'post-data' of 'SCRIPT' is damaged"]),
    found("the script ends in its large objects, sealed", &[Cut("SCRIPT", In("large-objects"))], Whole, &["section 'large-objects' of 'SCRIPT' is damaged"]),

    // The script, changed.
    refused("a bit of the script", &[Flip("SCRIPT", Rows(1))], Open, &["'SCRIPT' does not have the SHA-256 that it was written with"]),
    refused("the script's last bit", &[Flip("SCRIPT", FromEnd(1))], Open, &["'SCRIPT' does not have the SHA-256"]),
    refused("a byte more in the script", &[Insert("SCRIPT", Middle, b"x")], Open, &["'SCRIPT' has", "bytes instead of"]),
    refused("bytes after the script", &[Insert("SCRIPT", FromEnd(0), b"\0\0\0\0")], Open, &["'SCRIPT' has", "bytes instead of"]),
    beside("a bit of a header, sealed", &[Flip("SCRIPT", Header(1))], Whole, &["a unit of table public.big at byte", "of 'SCRIPT' is damaged"]),
    found("a bit of rows, sealed", &[Flip("SCRIPT", Rows(1))], Whole, &["a unit of table public.big at byte", "of 'SCRIPT' is damaged"]),
    found("a bit of the rows that nobody may see, sealed", &[Flip("SCRIPT", Rows(3))], Whole, &["a unit of table public.small at byte", "of 'SCRIPT' is damaged"]),
    beside("a bit of a footer, sealed", &[Flip("SCRIPT", Footer(0))], Whole, &["a unit of table public.big at byte", "of 'SCRIPT' is damaged"]),
    beside("a bit of the schema, sealed", &[Flip("SCRIPT", In("pre-data"))], Whole, &["section 'pre-data' of 'SCRIPT' is damaged"]),
    found("a bit of a large object, sealed", &[Flip("SCRIPT", In("large-objects"))], Whole, &["section 'large-objects' of 'SCRIPT' is damaged"]),
    beside("a bit of the indexes, sealed", &[Flip("SCRIPT", In("post-data"))], Whole, &["section 'post-data' of 'SCRIPT' is damaged"]),
    beside("a bit of the closing marker, sealed", &[Flip("SCRIPT", In("end"))], Whole, &["section 'end' of 'SCRIPT' is damaged"]),
    beside("bytes after the script, sealed", &[Insert("SCRIPT", FromEnd(0), b"\0\0\0\0")], Whole, &["section 'end' of 'SCRIPT' is damaged"]),

    // The other files that hold something.
    refused("the archive is gone", &[Gone("schema.dump")], Open, &["'schema.dump' is missing"]),
    refused("a bit of the archive", &[Flip("schema.dump", Middle)], Open, &["'schema.dump' does not have the SHA-256"]),
    refused("the archive is cut off", &[Cut("schema.dump", Middle)], Open, &["'schema.dump' has", "bytes instead of"]),
    not_restored("the archive is none, sealed", &[Flip("schema.dump", Byte(0))], Whole, &["pg_restore", "archive"]),
    not_restored("the archive is empty, sealed", &[Put("schema.dump", b"")], Whole, &["pg_restore"]),
    refused("the roles are gone", &[Gone("globals.sql.gz")], Open, &["'globals.sql.gz' is missing"]),
    refused("a bit of the roles", &[Flip("globals.sql.gz", Middle)], Open, &["'globals.sql.gz' does not have the SHA-256"]),

    // The index of units.
    refused("the index is gone", &[Gone("units.jsonl")], Open, &["'units.jsonl' is missing"]),
    refused("a bit of the index", &[Flip("units.jsonl", Middle)], Open, &["'units.jsonl' does not have the SHA-256"]),
    refused("the index is cut off, sealed", &[Cut("units.jsonl", FromEnd(10))], Whole, &["'units.jsonl': line 4", "not a unit"]),
    refused("the index lacks its last line end, sealed", &[Cut("units.jsonl", FromEnd(1))], Whole, &["'units.jsonl'", "middle of a line"]),
    refused("the index is empty, sealed", &[Put("units.jsonl", b"")], Whole, &["'units.jsonl'", "lines are missing"]),
    refused("the index lacks its first line, sealed", &[Lines("units.jsonl", &[1, 2, 3])], Whole, &["'units.jsonl': line 1"]),
    refused("the index lacks a line, sealed", &[Lines("units.jsonl", &[0, 2, 3])], Whole, &["'units.jsonl': line 2"]),
    refused("the index lacks its last line, sealed", &[Lines("units.jsonl", &[0, 1, 2])], Whole, &["'units.jsonl'", "lines are missing"]),
    refused("a line of the index is there twice, sealed", &[Lines("units.jsonl", &[0, 1, 1, 2, 3])], Whole, &["'units.jsonl': line 3"]),
    refused("lines of the index are in another order, sealed", &[Lines("units.jsonl", &[0, 2, 1, 3])], Whole, &["'units.jsonl': line 2"]),
    refused("an empty line in the index, sealed", &[Insert("units.jsonl", FromEnd(0), b"\n")], Whole, &["'units.jsonl': line 5", "not a unit"]),
    refused("units overlap, sealed", &[SetLine("units.jsonl", 1, "offset", "1")], Whole, &["'units.jsonl': line 2"]),
    refused("a unit reaches beyond the script, sealed", &[SetLine("units.jsonl", 3, "body", "99999999")], Whole, &["'units.jsonl': line 4"]),
    refused("a unit is impossibly long, sealed", &[SetLine("units.jsonl", 3, "body", "18446744073709551615")], Whole, &["'units.jsonl': line 4"]),
    refused("a unit is shorter than it was, sealed", &[SetLine("units.jsonl", 0, "body", "1")], Whole, &["'units.jsonl': line 2"]),
    refused("an offset is negative, sealed", &[SetLine("units.jsonl", 0, "offset", "-1")], Whole, &["'units.jsonl': line 1", "not a unit"]),
    refused("an offset is a word, sealed", &[SetLine("units.jsonl", 0, "offset", "\"0\"")], Whole, &["'units.jsonl': line 1", "not a unit"]),
    refused("a key nobody knows in the index, sealed", &[SetLine("units.jsonl", 0, "compression", "1")], Whole, &["'units.jsonl': line 1", "not a unit"]),
    refused("a unit of no table, sealed", &[SetLine("units.jsonl", 0, "table", "3")], Whole, &["'units.jsonl': line 1", "a table that the manifest does not have"]),
    refused("a unit with more rows than bytes, sealed", &[SetLine("units.jsonl", 3, "rows", "1000")], Whole, &["'units.jsonl': line 4", "impossible counts"]),
    refused("a unit without members, sealed", &[SetLine("units.jsonl", 3, "members", "0")], Whole, &["'units.jsonl': line 4", "impossible counts"]),
    refused("units that are impossibly large together, sealed",
        &[SetLine("units.jsonl", 0, "bytes", "18446744073709551615"), SetLine("units.jsonl", 1, "bytes", "18446744073709551615")], Whole, &["'units.jsonl': line 2", "impossible counts"]),
    refused("the index is not text, sealed", &[Insert("units.jsonl", Byte(0), b"\xff\xfe")], Whole, &["'units.jsonl' is not text"]),
    found("a unit of another table, sealed", &[SetLine("units.jsonl", 3, "table", "1")], Whole, &["of 'SCRIPT' does not belong to table public.empty"]),
    beside("a unit with fewer rows than it says, sealed", &[SetLine("units.jsonl", 3, "rows", "4")], Whole, &["a unit of table public.small", "does not hold the rows that its index says"]),
    found("a unit with fewer bytes than it says, sealed", &[SetLine("units.jsonl", 3, "bytes", "1000")], Whole, &["a unit of table public.small", "of 'SCRIPT' is damaged"]),
    found("a unit with as many bytes as there can be, sealed", &[SetLine("units.jsonl", 3, "bytes", "9223372036854775807")], Whole, &["a unit of table public.small", "is damaged"]),
    found("a header that reaches into the rows, sealed", &[SetLine("units.jsonl", 3, "header", "1"), SetLine("units.jsonl", 3, "footer", "1")], Whole, &["'units.jsonl'"]),

    // The manifest.
    refused("the manifest is gone", &[Gone("manifest.json")], Open, &["manifest.json"]),
    refused("the manifest is empty", &[Put("manifest.json", b"")], Open, &["'manifest.json': not a manifest: the text ends too early"]),
    refused("the manifest is not JSON", &[Put("manifest.json", b"format: 1\n")], Open, &["'manifest.json': not a manifest: broken JSON at line 1"]),
    refused("the manifest is another JSON", &[Put("manifest.json", b"[]\n")], Open, &["'manifest.json': not a manifest"]),
    refused("the manifest is cut off", &[Cut("manifest.json", Middle)], Open, &["'manifest.json': not a manifest of format 1: the text ends too early"]),
    refused("the manifest goes on", &[Insert("manifest.json", FromEnd(0), b"{}")], Open, &["'manifest.json': not a manifest of format 1: broken JSON"]),
    refused("the manifest is not text", &[Insert("manifest.json", Byte(20), b"\xff")], Open, &["'manifest.json': not a manifest"]),
    refused("a bit of the manifest", &[Flip("manifest.json", Middle)], Open, &["manifest.json"]),
    refused("a byte of the manifest that means nothing", &[Insert("manifest.json", FromEnd(0), b"\n")], Open, &["'SHA256SUMS' and 'manifest.json' do not agree"]),
    refused("a newer format", &[Set("manifest.json", "/format", "3")], Open, &["'manifest.json': format 3 is not known to this version of kluis, which reads formats 1 and 2"]),
    refused("format 0", &[Set("manifest.json", "/format", "0")], Open, &["'manifest.json': format 0 is not known"]),
    refused("a negative format", &[Set("manifest.json", "/format", "-1")], Open, &["'manifest.json': not a manifest: a field is missing or of the wrong kind"]),
    refused("the format is a word", &[Set("manifest.json", "/format", "\"1\"")], Open, &["'manifest.json': not a manifest: a field is missing or of the wrong kind"]),
    refused("no format", &[Drop("manifest.json", "/format")], Open, &["'manifest.json': not a manifest: a field is missing"]),
    refused("no id", &[Drop("manifest.json", "/id")], Open, &["'manifest.json': not a manifest of format 1: a field is missing"]),
    refused("no server", &[Drop("manifest.json", "/server")], Open, &["'manifest.json': not a manifest of format 1: a field is missing"]),
    refused("no encoding", &[Drop("manifest.json", "/database/encoding")], Open, &["'manifest.json': not a manifest of format 1: a field is missing"]),
    refused("no script", &[Drop("manifest.json", "/script")], Open, &["'manifest.json': not a manifest of format 1: a field is missing"]),
    refused("no tables", &[Drop("manifest.json", "/tables")], Open, &["'manifest.json': not a manifest of format 1: a field is missing"]),
    refused("no digest", &[Drop("manifest.json", "/tables/0/digest")], Sums, &["'manifest.json': not a manifest of format 1: a field is missing"]),
    refused("no large objects", &[Drop("manifest.json", "/large_objects")], Open, &["'manifest.json': not a manifest of format 1: a field is missing"]),
    refused("no files", &[Drop("manifest.json", "/files")], Open, &["'manifest.json': not a manifest of format 1: a field is missing"]),
    refused("negative rows", &[Set("manifest.json", "/tables/0/rows", "-1")], Sums, &["'manifest.json': not a manifest of format 1", "of the wrong kind"]),
    refused("half a row", &[Set("manifest.json", "/tables/0/rows", "0.5")], Sums, &["'manifest.json': not a manifest of format 1", "of the wrong kind"]),
    refused("more rows than can be counted", &[Set("manifest.json", "/tables/0/rows", "18446744073709551616")], Sums, &["'manifest.json': not a manifest of format 1"]),
    refused("more rows together than can be counted", &[Set("manifest.json", "/tables/0/rows", "18446744073709551615")], Sums, &["'manifest.json': the tables' rows are impossibly many"]),
    refused("more bytes than there can be", &[Set("manifest.json", "/files/1/bytes", "18446744073709551615")], Sums, &["'manifest.json': the files are impossibly large"]),
    refused("tables of the wrong kind", &[Set("manifest.json", "/tables", "{}")], Open, &["'manifest.json': not a manifest of format 1", "of the wrong kind"]),
    refused("files of the wrong kind", &[Set("manifest.json", "/files", "null")], Open, &["'manifest.json': not a manifest of format 1", "of the wrong kind"]),
    refused("a time that is none", &[Set("manifest.json", "/started", "\"yesterday\"")], Open, &["'manifest.json': not a manifest of format 1"]),
    refused("a mover that nobody knows", &[Set("manifest.json", "/tables/0/moved_by", "\"magic\"")], Sums, &["'manifest.json': not a manifest of format 1"]),
    refused("a table that is there twice", &[Set("manifest.json", "/tables/1/name", "\"big\"")], Sums, &["'manifest.json': table public.big is there twice"]),
    refused("a file that is there twice", &[Set("manifest.json", "/files/1/name", "\"units.jsonl\"")], Sums, &["'manifest.json': 'units.jsonl' is among the files twice"]),
    refused("a file above the folder", &[Set("manifest.json", "/files/1/name", "\"../x\"")], Sums, &["'manifest.json': a file has a name that cannot be"]),
    refused("the folder above as a file", &[Set("manifest.json", "/files/1/name", "\"..\"")], Sums, &["'manifest.json': a file has a name that cannot be"]),
    refused("a file elsewhere", &[Set("manifest.json", "/files/1/name", "\"/etc/passwd\"")], Sums, &["'manifest.json': a file has a name that cannot be"]),
    refused("a file with a backslash", &[Set("manifest.json", "/files/1/name", "\"a\\\\b\"")], Sums, &["'manifest.json': a file has a name that cannot be"]),
    refused("a file with a line feed", &[Set("manifest.json", "/files/1/name", "\"a\\nb\"")], Sums, &["'manifest.json': a file has a name that cannot be"]),
    refused("a file without a name", &[Set("manifest.json", "/files/1/name", "\"\"")], Sums, &["'manifest.json': a file has a name that cannot be"]),
    refused("a hidden file", &[Set("manifest.json", "/files/1/name", "\".hidden\"")], Sums, &["'manifest.json': a file has a name that cannot be"]),
    refused("a file that is not there", &[Set("manifest.json", "/files/1/name", "\"other.dump\"")], Sums, &["'other.dump' is missing"]),
    refused("a hash that is too short", &[Set("manifest.json", "/files/1/sha256", "\"c0ffee\"")], Sums, &["'manifest.json': the hash of 'schema.dump' is not a SHA-256"]),
    refused("a hash that is none", &[Edit("manifest.json", "\"sha256\": \"", "\"sha256\": \"../../../")], Sums, &["'manifest.json': the hash of", "is not a SHA-256"]),
    refused("a script elsewhere", &[Set("manifest.json", "/script/file", "\"../../app.sql.gz\"")], Sums, &["'manifest.json': the script is not among the files"]),
    refused("a script that is another file", &[Set("manifest.json", "/script/file", "\"schema.dump\"")], Sums, &["'manifest.json': the script's sections do not add up to its size"]),
    refused("sections with a gap", &[Set("manifest.json", "/script/sections/1/offset", "1")], Sums, &["'manifest.json': section 'units' does not begin where"]),
    refused("sections that are too short", &[Set("manifest.json", "/script/sections/0/bytes", "1")], Sums, &["'manifest.json': section 'units' does not begin where"]),
    refused("a section of impossible length", &[Set("manifest.json", "/script/sections/1/bytes", "18446744073709551615")], Sums, &["'manifest.json': section 'units' is impossibly long"]),
    refused("no sections", &[Set("manifest.json", "/script/sections", "[]")], Sums, &["'manifest.json': the script's sections do not add up"]),
    refused("no section with units", &[Set("manifest.json", "/script/sections/1/name", "\"unit\"")], Sums, &["'manifest.json': it has no section 'units'"]),
    refused("a digest that is none", &[Set("manifest.json", "/tables/0/digest", "\"0\"")], Sums, &["'manifest.json': a table's digest is not 32 hexadecimal digits"]),
    refused("a digest with a sign", &[Set("manifest.json", "/tables/0/digest", "\"+0000000000000000000000000000000\"")], Sums, &["'manifest.json': a table's digest is not 32 hexadecimal digits"]),
    found("another digest", &[Set("manifest.json", "/tables/2/digest", "\"00000000000000000000000000000000\"")], Sums, &["table public.small has other content in 'SCRIPT' than in its snapshot"]),
    found("fewer rows", &[Set("manifest.json", "/tables/2/rows", "2")], Sums, &["table public.small has 3 rows in 'SCRIPT' instead of 2"]),
    found("other columns", &[Set("manifest.json", "/tables/2/columns", "[\"v\", \"id\"]")], Sums, &["of 'SCRIPT' does not belong to table public.small"]),
    found("another table", &[Set("manifest.json", "/tables/2/name", "\"large\"")], Sums, &["of 'SCRIPT' does not belong to table public.large"]),
    beside("another mover", &[Set("manifest.json", "/tables/2/moved_by", "\"pg-dump\"")], Sums, &["table public.small has 3 rows in 'SCRIPT' instead of 0"]),
    found("other large objects", &[Set("manifest.json", "/large_objects/count", "2")], Sums, &["the large objects in 'SCRIPT' are not those of the snapshot"]),
    refused("other size of a file", &[Set("manifest.json", "/files/1/bytes", "7")], Sums, &["'schema.dump' has", "bytes instead of 7"]),
    harmless("keys of a later minor version", &[Edit("manifest.json", "{", "{\"novelty\": [1],")], Sums, 0, &[]),

    // The hashes.
    refused("no hashes", &[Gone("SHA256SUMS")], Open, &["'SHA256SUMS' is missing or cannot be read"]),
    refused("empty hashes", &[Put("SHA256SUMS", b"")], Open, &["'SHA256SUMS' and 'manifest.json' do not agree"]),
    refused("hashes without a line", &[Lines("SHA256SUMS", &[0, 1, 2, 3])], Open, &["'SHA256SUMS' and 'manifest.json' do not agree"]),
    refused("hashes with a line more", &[Insert("SHA256SUMS", FromEnd(0), b"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  other\n")], Open, &["'SHA256SUMS' and 'manifest.json' do not agree"]),
    refused("hashes with a line twice", &[Lines("SHA256SUMS", &[0, 1, 2, 3, 4, 4])], Open, &["'SHA256SUMS' and 'manifest.json' do not agree"]),
    refused("hashes in another order", &[Lines("SHA256SUMS", &[1, 0, 2, 3, 4])], Open, &["'SHA256SUMS' and 'manifest.json' do not agree"]),
    refused("a bit of the hashes", &[Flip("SHA256SUMS", Byte(3))], Open, &["'SHA256SUMS' and 'manifest.json' do not agree"]),
    refused("hashes without the last line end", &[Cut("SHA256SUMS", FromEnd(1))], Open, &["'SHA256SUMS' and 'manifest.json' do not agree"]),

    // What is not covered by the hashes.
    harmless("a proof that is not JSON", &[Put("proof.json", b"{\"format\"")], Open, 0, &[]),
    harmless("an empty proof", &[Put("proof.json", b"")], Open, 0, &[]),
    harmless("a proof of a newer format", &[Put("proof.json", b"{\"format\": 9, \"kluis\": \"9\", \"rung\": \"sealed\", \"verdict\": \"good\", \"at\": \"2026-01-25T03:00:00Z\", \"reached\": \"2026-01-25T03:00:00Z\"}")], Open, 3, &["'proof.json': format 9 is not known"]),
    harmless("a proof on a rung that nobody knows", &[Put("proof.json", b"{\"format\": 1, \"kluis\": \"9\", \"rung\": \"ceiling\", \"verdict\": \"good\", \"at\": \"2026-01-25T03:00:00Z\", \"reached\": \"2026-01-25T03:00:00Z\"}")], Open, 0, &[]),
    harmless("a folder instead of a proof", &[Other("proof.json", Folder)], Open, 3, &["proof.json"]),
    harmless("a FIFO instead of a proof", &[Other("proof.json", Fifo)], Open, 0, &[]),
    harmless("no notes", &[Gone("RESTORE.md")], Open, 0, &[]),
    harmless("a bit of the notes", &[Flip("RESTORE.md", Middle)], Open, 0, &[]),

    // Things that are no files, and files that are not ours.
    refused("a folder instead of the script", &[Other("SCRIPT", Folder)], Open, &["'SCRIPT' is not a regular file"]),
    refused("a link instead of the script", &[Other("SCRIPT", Link)], Open, &["'SCRIPT' is not a regular file"]),
    refused("a FIFO instead of the script", &[Other("SCRIPT", Fifo)], Open, &["'SCRIPT' is not a regular file"]),
    refused("a link to nowhere instead of the archive", &[Other("schema.dump", DanglingLink)], Open, &["'schema.dump' is not a regular file"]),
    refused("a link instead of the index", &[Other("units.jsonl", Link)], Open, &["'units.jsonl' is not a regular file"]),
    refused("a link instead of the manifest", &[Other("manifest.json", Link)], Open, &["manifest.json"]),
    refused("a folder instead of the manifest", &[Other("manifest.json", Folder)], Open, &["manifest.json"]),
    refused("a FIFO instead of the manifest", &[Other("manifest.json", Fifo)], Open, &["manifest.json"]),
    refused("a link instead of the hashes", &[Other("SHA256SUMS", Link)], Open, &["'SHA256SUMS' is missing or cannot be read"]),
    refused("a FIFO instead of the hashes", &[Other("SHA256SUMS", Fifo)], Open, &["'SHA256SUMS' is missing or cannot be read"]),
    harmless("a foreign file", &[Put("notes.txt", b"call Ada before you restore this")], Open, 0, &[]),
    harmless("a foreign script", &[Put("zz.sql.gz", b"no script at all")], Open, 0, &[]),
    harmless("a foreign hidden file", &[Put(".DS_Store", b"\0\0")], Open, 0, &[]),
    harmless("a foreign folder", &[Other("old", Folder)], Open, 0, &[]),
    harmless("a foreign link to nowhere", &[Other("link", DanglingLink)], Open, 0, &[]),
    harmless("a foreign FIFO", &[Other("pipe", Fifo)], Open, 0, &[]),
];
