# The WebSocket client of the hot path; not in nixpkgs.
{
  lib,
  buildPythonPackage,
  fetchPypi,
  cython,
  setuptools,
  aiofastnet,
  multidict,
  python-socks,
}:
buildPythonPackage rec {
  pname = "picows";
  version = "2.3.1";
  pyproject = true;

  src = fetchPypi {
    inherit pname version;
    hash = "sha256-2FDvjZmWkeIhzMZEo3CHcdOhTUWCK8p3IyIwVLYCIZg=";
  };

  build-system = [
    cython
    setuptools
  ];
  dependencies = [
    aiofastnet
    multidict
    python-socks
  ];

  # Its tests open servers.
  doCheck = false;
  pythonImportsCheck = [ "picows" ];

  meta = {
    description = "WebSocket client and server for asyncio that hands frames over without copies";
    license = lib.licenses.mit;
  };
}
