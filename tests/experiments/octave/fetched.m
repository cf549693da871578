function fetched (url, file, options, more)
  % One request by curl; errors are named as MATLAB names them.
  fields = options.HeaderFields;
  if (! isempty (options.KeyName))
    fields(end + 1, :) = {options.KeyName, options.KeyValue};
  endif
  for k = 1:rows (fields)
    more = sprintf ('%s -H "%s: %s"', more, fields{k, 1}, fields{k, 2});
  endfor
  [failed, status] = system (sprintf ('curl -s -o "%s" -w "%%{http_code}" --max-time %d %s "%s"', ...
                                      file, options.Timeout, more, url));
  if (failed)
    error ("MATLAB:webservices:ConnectionRefused", "curl ends with %d", failed);
  elseif (status(1) != "2")
    error (sprintf ("MATLAB:webservices:HTTP%sStatusCodeError", status), "The server returned the status %s", status);
  endif
endfunction
