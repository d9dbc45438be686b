"""The local web application: pictures, videos and a webcam in the browser, on this machine only."""
