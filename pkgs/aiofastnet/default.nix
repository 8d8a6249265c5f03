# What picows connects with: TCP and TLS transports for asyncio; not in nixpkgs.
{
  lib,
  buildPythonPackage,
  fetchPypi,
  cython,
  setuptools,
}:
buildPythonPackage rec {
  pname = "aiofastnet";
  version = "1.2.0";
  pyproject = true;

  src = fetchPypi {
    inherit pname version;
    hash = "sha256-0folAOKHt+MaiHVHJM57/Pi4OIShVUe+S193U5RhKMM=";
  };

  build-system = [
    cython
    setuptools
  ];

  # Its tests open servers.
  doCheck = false;
  pythonImportsCheck = [ "aiofastnet" ];

  meta = {
    description = "Fast transports and TLS for asyncio";
    license = lib.licenses.mit;
  };
}
