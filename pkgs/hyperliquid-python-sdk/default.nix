# The venue's own client, against which the embedded exchange and our signatures are tested; not in nixpkgs.
{
  lib,
  buildPythonPackage,
  fetchPypi,
  poetry-core,
  eth-account,
  eth-utils,
  msgpack,
  requests,
  websocket-client,
}:
buildPythonPackage rec {
  pname = "hyperliquid-python-sdk";
  version = "0.24.0";
  pyproject = true;

  src = fetchPypi {
    pname = "hyperliquid_python_sdk";
    inherit version;
    hash = "sha256-s/unxT9PruQVeN9O4ZRxOThmpKGI440f0FoCF7enSGg=";
  };

  build-system = [ poetry-core ];
  dependencies = [
    eth-account
    eth-utils
    msgpack
    requests
    websocket-client
  ];
  pythonRelaxDeps = [ "eth-utils" ];

  # Its tests talk to the venue.
  doCheck = false;
  pythonImportsCheck = [ "hyperliquid" ];

  meta = {
    description = "Client of the Hyperliquid API";
    license = lib.licenses.mit;
  };
}
