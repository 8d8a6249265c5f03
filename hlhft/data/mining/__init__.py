"""Mining: the venue's archives in S3, whose readers pay, into the catalogue."""
