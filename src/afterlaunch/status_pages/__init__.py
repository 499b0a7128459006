"""Status pages: what a client's users are told, public or by a secret address; also as files to be served elsewhere."""
