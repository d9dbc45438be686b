"""The local web application: pictures, videos and finished analyses in a browser. Needs the extra `app`."""
