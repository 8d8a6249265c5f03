# What picows reaches proxies with; an engine uses none, but the package imports it.
{
  lib,
  buildPythonPackage,
  fetchPypi,
  setuptools,
}:
buildPythonPackage rec {
  pname = "python-socks";
  version = "3.2.1";
  pyproject = true;

  src = fetchPypi {
    pname = "python_socks";
    inherit version;
    hash = "sha256-0hYYrmxnNNNXvoMmOzeRZm0Sr1lICs6PSPK1/MjtyYc=";
  };

  build-system = [ setuptools ];

  # Its tests open servers.
  doCheck = false;
  pythonImportsCheck = [ "python_socks" ];

  meta = {
    description = "Client of SOCKS and HTTP proxies";
    license = lib.licenses.asl20;
  };
}
