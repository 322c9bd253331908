"""Images in and results out: files of hospitals become arrays, arrays become files."""
